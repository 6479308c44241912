//! What only looks sensitive, and has to stay as it is.

use super::dice::{Dice, grouped};

pub(crate) const KINDS: &[&str] = &[
    "order_number",
    "uuid",
    "timestamp",
    "date",
    "epoch",
    "version",
    "semver",
    "coordinates",
    "git_sha",
    "sha256",
    "md5",
    "isbn",
    "ean",
    "part_number",
    "scp_path",
    "npm_spec",
    "colour",
    "hex_dump",
    "base64_image",
    "minified_js",
    "stack_trace",
    "sql",
    "price",
    "math",
    "k8s_name",
    "identifier",
    "env_reference",
    "public_key",
    "sri",
    "placeholder",
    "port_range",
    "tool_call_id",
    "decorator",
    "emoji_version",
    "phone_like_part",
    "tracking",
    "section",
    "table_row",
    "scientific",
    "code_assignment",
    "password_prose",
    "css",
    "regex",
    "path",
    "docker_digest",
    "mac_like",
    "iban_like",
    "json_numbers",
    "prose_hours",
    "matrix",
];

pub(crate) fn value(dice: &mut Dice, kind: &str) -> String {
    let two = |dice: &mut Dice, low, high| format!("{:02}", dice.between(low, high));
    match kind {
        "order_number" => {
            let template = dice.pick(&["order {d12}", "Bestellung Nr. {d10}", "ticket #{d7}", "invoice INV-2026-{d6}", "commande {d9}", "case {d8}-{d3}", "RMA{d9}", "Vorgang {d4}/{d6}"]).to_owned();
            dice.filled(&template)
        }
        "uuid" => dice.filled("{x}"),
        "timestamp" => format!("2026-{}-{}T{}:{}:{}.{}Z", two(dice, 1, 12), two(dice, 1, 28), two(dice, 0, 23), two(dice, 0, 59), two(dice, 0, 59), dice.digits(3)),
        "date" => format!("{}.{}.{}", two(dice, 1, 28), two(dice, 1, 12), dice.between(1950, 2030)),
        "epoch" => format!("{}{}", dice.pick(&["ts=", "", "at ", "created: "]), dice.between(1_400_000_000, 1_900_000_000) * if dice.one_in(2) { 1 } else { 1000 }),
        "version" => format!("{} {}.{}.{}.{}", dice.pick(&["version", "build", "Firmware", "release", "Treiber-Version", "version du pilote"]), dice.between(1, 250), dice.below(250), dice.below(250), dice.below(250)),
        "semver" => dice.filled("v{d1}.{d2}.{d1}-rc.{d1}"),
        "coordinates" => format!("{}.{}, {}.{}", dice.between(40, 60), dice.digits(6), dice.between(1, 18), dice.digits(6)),
        "git_sha" => dice.filled("{h40}"),
        "sha256" => format!("sha256:{}", dice.filled("{h64}")),
        "md5" => dice.filled("md5 {h32}"),
        "isbn" => format!("ISBN {}", dice.checked("978", 13, |d| d.iter().enumerate().map(|(i, d)| if i % 2 == 0 { *d } else { 3 * d }).sum::<u32>().is_multiple_of(10))),
        "ean" => format!("EAN {}", dice.checked("40", 13, |d| d.iter().enumerate().map(|(i, d)| if i % 2 == 0 { *d } else { 3 * d }).sum::<u32>().is_multiple_of(10))),
        "part_number" => format!("part {}", grouped(&format!("{}{}", dice.pick(&["666", "000", "987"]), dice.digits(6)), &[3, 2, 4], "-")),
        "scp_path" => dice.pick(&["git@github.com:acme/app.git", "deploy@build:/srv/www", "hg@bitbucket.org:a/b", "root@web1:/etc/nginx/"]).to_owned(),
        "npm_spec" => dice.pick(&["lodash@4.17.21", "@types/node@22.1.0", "left-pad@1.3.0", "@angular/core@17.0.2", "react@18.3.0-beta.1", "vue@latest"]).to_owned(),
        "colour" => dice.filled("#{h6}"),
        "hex_dump" => dice.filled("0000{d2}0: {h4} {h4} {h4} {h4} {h4} {h4} {h4} {h4}"),
        "base64_image" => format!("data:image/png;base64,iVBORw0KGgo{}", dice.filled("{s240}")),
        "minified_js" => dice.filled("var a=function(e,t){return e[t]|{d1}},n=\"{w6}\",r={{w1}:{d2},{w2}:!0};a(n,r.{w1})").replace("{{", "{"),
        "stack_trace" => format!("at com.acme.shop.Cart.add(Cart.java:{}) ~[shop-{}.jar:?]", dice.between(10, 900), dice.filled("{d1}.{d1}.{d2}")),
        "sql" => dice.filled("SELECT id, sum(total) FROM orders WHERE user_id = {d6} AND created > '2026-0{d1}-1{d1}' LIMIT {d3}"),
        "price" => dice.pick(&["EUR 12.499,90", "$1,299.00", "1 234 567,89 €", "CHF 4'990.-", "₹1,20,000", "£3,400.50"]).to_owned(),
        "math" => dice.filled("{d3} * {d4} = {d7}"),
        "k8s_name" => dice.filled("shop-api-{h9}-{w5}"),
        "identifier" => dice.pick(&["getUserPasswordResetTokenById", "MAX_TOKENS_PER_MINUTE", "api_key_hash_column", "is_password_expired", "sk_buff_head_init", "tokenizer.pad_token_id", "passwordInputRef", "SECRET_KEY_BASE_FILE"]).to_owned(),
        "env_reference" => dice.pick(&["password: ${DB_PASSWORD}", "token: {{ secrets.NPM_TOKEN }}", "api_key=os.environ['API_KEY']", "password=$PGPASSWORD", "secret: !vault db/pass", "apiKey: process.env.API_KEY", "password: <your password>", "PASSWORD=changeme_please_<set>"]).to_owned(),
        "public_key" => format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ops", dice.filled("{s43}")),
        "sri" => format!("integrity=\"sha384-{}\"", dice.filled("{s64}")),
        "placeholder" => dice.pick(&["sk-xxxxxxxxxxxxxxxxxxxxxxxx", "YOUR_API_KEY", "AKIA****************", "ghp_…", "<token>", "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxx-xxxx-xxxx-xxxx", "user@host"]).to_owned(),
        "port_range" => dice.filled("ports 80{d2}-80{d2}, 443"),
        "tool_call_id" => {
            let template = dice.pick(&["call_{a24}", "toolu_01{a22}", "chatcmpl-{a29}", "msg_01{a22}", "resp_{h48}", "req_{a24}", "file-{a22}", "thread_{a24}"]).to_owned();
            dice.filled(&template)
        }
        "decorator" => dice.pick(&["@app.get('/x')", "@pytest.mark.skip", "@Override", "@Component.Builder", "@media (max-width: 600px)", "@param {string} name"]).to_owned(),
        "emoji_version" => dice.filled("🚀 {d1}.{d2}.{d1} 🎉"),
        "phone_like_part" => { let t = dice.pick(&["part no. {d3}-{d4}-{d2}", "Artikel {d4}.{d3}.{d2}", "model {d2}-{d5}", "réf. {d3}.{d3}.{d1}", "SKU {d3}-{d3}-{d3}-{d2}"]).to_owned(); dice.filled(&t) }
        "tracking" => { let t = dice.pick(&["1Z{u16}", "JD0146{d14}", "RR{d9}AT", "parcel {d14}"]).to_owned(); dice.filled(&t) }
        "section" => dice.filled("section {d1}.{d1}.{d1}.{d1} and figure {d1}-{d1}"),
        "table_row" => dice.filled("| {d4} | {d3} | {d5} | {d2}.{d2} % |"),
        "scientific" => dice.filled("{d1}.{d6}e-{d2}"),
        "code_assignment" => dice.pick(&["password = getpass.getpass()", "token = next(tokens)", "key=lambda x: x[1]", "secret := loadSecret(ctx)", "const apiKey = await vault.read('api');", "pass  # nothing", "let pwd = env::current_dir()?;", "tokens=128, max_tokens=4096", "password: str = Field(min_length=8)", "if (password !== confirmPassword) {", "passwd.startswith('abc')", "key: value_of_the_setting", "token: string;"]).to_owned(),
        "password_prose" => dice.pick(&["the password is wrong", "Passwort vergessen?", "mot de passe oublié", "a password must have 12 characters", "your password is too short (min 8)", "Kennwort ist abgelaufen seit 2025", "the pass is 2 km away", "password is required for SSH-2", "le mot de passe est obligatoire", "the token is invalid or expired", "Das Passwort ist falsch.", "my password is not working since 10.15.7", "the key is on line 42b", "secret is stored in KMS"]).to_owned(),
        "css" => dice.filled(".x{margin:0 {d2}px;color:#{h3};transition:.{d1}s}").replace("x{", "x {"),
        "regex" => dice.pick(&["^[\\w.+-]+@[\\w-]+\\.[\\w.]+$", "\\d{3}-\\d{2}-\\d{4}", "(?i)bearer\\s+[a-z0-9._-]+", "[A-Z]{2}[0-9]{2}[A-Z0-9]{4}"]).to_owned(),
        "path" => dice.filled("/usr/lib/x86_64-linux-gnu/libc-2.{d2}.so.{d1}"),
        "docker_digest" => dice.filled("nginx@sha256:{h64}"),
        "mac_like" => dice.filled("fingerprint SHA1 {h2}:{h2}:{h2}:{h2}:{h2}:{h2}:{h2}:{h2}:{h2}:{h2}"),
        "iban_like" => loop {
            let t = dice.pick(&["SKU DE{d20}", "AT{d18}", "batch CH{d19}"]).to_owned();
            let text = dice.filled(&t);
            let code = text.rsplit(' ').next().unwrap_or_default().to_owned();
            let rest = code.chars().skip(4).chain(code.chars().take(4)).fold(0_u32, |rest, c| {
                let worth = c.to_digit(36).unwrap_or(0);
                if worth < 10 { (rest * 10 + worth) % 97 } else { (rest * 100 + worth) % 97 }
            });
            if rest != 1 {
                break text;
            }
        },
        "json_numbers" => dice.filled("[0.{d8}, -{d1}.{d7}, {d2}.{d6}, {d5}]"),
        "prose_hours" => dice.pick(&["open 9-12 and 14-18", "from 08:30 to 17:15", "Mo-Fr 8-16 Uhr", "de 9h à 17h30"]).to_owned(),
        _ => dice.filled("{d1} {d2} {d1} {d3} {d2} {d1}"),
    }
}
