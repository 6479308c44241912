//! What people make up as passwords and how they speak of them, and beside it what looks like it and is none.

use super::*;

/// Of each form exactly the value goes, which stands for `@@`.
#[track_caller]
fn goes(forms: &[&str], values: &[&str]) {
    for form in forms {
        for value in values {
            check(&form.replace("@@", value), &form.replace("@@", "[PASSWORD]"));
        }
    }
}

#[test]
fn words_and_a_number_with_signs_between_are_no_member() {
    goes(
        &[
            "password: @@",
            "my password is @@",
            "DB_PASSWORD=@@",
            "Passwort: @@",
            "the password for the nas is @@",
            "requests.get(u, auth=('ops', '@@'))",
            "vault kv put secret/shop password=@@",
            "machine ftp.example.net\nlogin eva\npassword @@",
        ],
        &[
            "walnut.hedgehog.279",
            "libelle.espresso.61",
            "4821.walnut.kestrel",
            "walnut_hedgehog_279",
            "12_libelle_77",
        ],
    );
    for text in [
        "password=settings.db.password",
        "password: config.password2",
        "password=user.password_2",
        "password=customer_id_v2",
        "password = crypto.sha256",
        "password: users.0.name",
        "passwords in version 1.12.33 are hashed",
        "the password is checked in release 4.12.33",
        "auth=(\"page\", \"test_login_v2\")",
        "auth=(\"page\", \"users_42.html\")",
    ] {
        stays(text);
    }
}

#[test]
fn an_equals_sign_within_a_password() {
    goes(
        &[
            "password @@",
            "sign in using the password @@",
            "log in as eva with password @@",
            "als Kennwort bitte @@ eintragen",
            "I changed my password from @@ to Kestrel49y".split(" to ").next().unwrap_or_default(),
        ],
        &["PyQ6=rTE6!2sy", "975y=c9pc_Md6", "l7b8=h0z6!V3j", "xg5C=Gu8C!23N"],
    );
    for text in ["password KEY1=value2", "the password user=eva", "password md5=9f86d081884c", "password file=shadow2.txt"] {
        stays(text);
    }
}

#[test]
fn digits_and_a_sign_before_the_word() {
    goes(
        &[
            "@@ is my password",
            "@@ ist das Passwort vom Router",
            "use @@ as the password",
            "req.SetBasicAuth(\"ops\", \"@@\")",
            "user,pass\nbob,@@",
        ],
        &["3541!cinnamon", "5632#Libelle", "41!Kangaroo", "123456!cinnamon", "88$walnut"],
    );
    goes(&["auth=('ops', '@@')", "define('DB_PASSWORD', '@@')"], &["7524-hirondelle", "X389-04Q1-r2P"]);
    goes(&["mdp du routeur @@", "mot de passe du routeur @@", "password for the router @@"], &["!ZJ95PdB6A", "?kQ22mmx8"]);
    for text in ["2024!important is a year", "50%off is my discount", "password for the router !important2", "-DB_PASS=\n+DB_PORT=Ab5412"] {
        stays(text);
    }
}
