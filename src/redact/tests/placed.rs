//! Passwords that only their place tells: directives of software with a syntax of its own, arguments and options of commands,
//! arguments of calls; and what stands in the same places and is none.

use super::arguments::goes;
use super::*;

#[test]
fn a_directive_says_which_word_is_the_password() {
    for form in [
        // SNMP.
        "com2sec readonly default @",
        "rocommunity @ default",
        "createUser mon SHA \"@\" AES \"@\"",
        "snmp-server community @ RO",
        "snmp-server host r9 version 2c @",
        "snmp-server user mon ops v3 auth sha @ priv aes 128 @",
        "set snmp community @ authorization read-only",
        "snmp-agent community read cipher @",
        "trapsink r9 @",
        // Switches, routers and firewalls.
        "crypto isakmp key @ address any",
        "tacacs-server key 7 @",
        "radius-server host r1 key @",
        "radius-server host r1 auth-port 1812 key 0 @",
        "radius server r1\n address ipv4 r7\n key @",
        "ip ospf message-digest-key 1 md5 @",
        "ip ospf authentication-key @",
        "ntp authentication-key 1 md5 @",
        "standby 1 authentication md5 key-string @",
        "neighbor r7 authentication text @",
        "set protocols isis authentication-key \"@\"",
        "set security ike policy p pre-shared-key ascii-text \"@\"",
        "set system login user ops authentication plain-text-password-value \"@\"",
        "ikev1 pre-shared-key @",
        "set psksecret @",
        "set passwd @",
        "local-user eva password irreversible-cipher @",
        "enable secret 0 @",
        "username ops privilege 15 secret 0 @",
        "wpa-psk ascii 0 @",
        // Tunnels and dial-up.
        ": PSK \"@\"",
        "eva : EAP \"@\"",
        "%any gw.example.net : PSK \"@\"",
        "eva * \"@\" *",
    ] {
        goes(form);
    }
    // A short one, where a key would stand as well.
    for form in [
        "ike-1 {\n  secret = \"@\"\n}",
        "[eva]\ntype=friend\nsecret=@",
        "client nas {\n  ipaddr = r7\n  secret = @\n}",
        "session.save_path = \"tcp://cache:6379?auth=@\"",
    ] {
        check(&form.replace('@', "kestrel4810"), &form.replace('@', "[PASSWORD]"));
    }
}

#[test]
fn so_does_one_of_a_server_or_a_wireless_network() {
    for form in [
        // Mail.
        "smtp_sasl_password_maps = static:mailer:@",
        "[smtp.example.net]:587 mailer:@",
        "smtp.example.net:587 mailer:@",
        "a1 LOGIN eva @",
        "IMAPAccount work\nUser eva\nPass \"@\"",
        "AUTH eva @",
        // Servers.
        "    stats auth admin:@",
        "auth_type PASS\nauth_pass @",
        "ldap_default_authtok = @",
        "rootpw @",
        "user app on >@ ~* +get",
        "ACL SETUSER app on >@ allkeys",
        "cache_peer r7 parent 3128 0 login=eva:@",
        "BasicAuth eva @",
        "OPER eva @",
        "/msg NickServ IDENTIFY @",
        "MONITOR ups-r7 1 upsmon @ primary",
        "users eva:CL:@",
        "eva:{PLAIN}@",
        // Wireless.
        "WIFI:T:WPA;S:Werkstatt;P:@;;",
        "WIFI:S:Werkstatt;T:WPA;P:@;H:false;;",
        "\toption key '@'",
        "[wifi]\nssid = Gast\nkey = @",
        "<keyMaterial>@</keyMaterial>",
        "iwconfig wlan0 key s:@",
        // A name that is set, without a sign.
        "ENV DB_PASS @",
        "setx DB_PASS \"@\"",
        "fastcgi_param DB_PASS @;",
        "#define WIFI_PASS \"@\"",
    ] {
        goes(form);
    }
    check("user app on >Kestrel48x ~* +@all", "user app on >[PASSWORD] ~* +@all");
}

#[test]
fn other_words_of_the_same_directives_stay() {
    for text in [
        "com2sec readonly default public",
        "rocommunity public default",
        "createUser mon SHA-256 AES-128",
        "snmp-server community public RO",
        "snmp-server location rack12b",
        "snmp-server host web-12b traps",
        "crypto isakmp policy p10b",
        "crypto key generate rsa2048",
        "tacacs-server host web-12b",
        "ip ospf authentication message-digest",
        "ntp server ntp2b.example",
        "interface GigabitEthernet0/1b",
        ": PSK 0sAbc",
        "eva : RSA key2.pem",
        "smtp_sasl_password_maps = hash:/etc/postfix/sasl2_passwd",
        "[smtp.example.net]:587",
        "the LOGIN page of build 12b3c4",
        "250 AUTH LOGIN CRAM-MD5",
        "stats uri /haproxy2b",
        "auth_type PASS",
        "user app on ~jobs2b:* +get",
        "WIFI:T:WPA;S:Gast2023b;;",
        "option ssid 'Gast2023b'",
        "option network 'lan2b3c'",
        "[net]\nname = Gast\nkey = abc2def",
        "#define WIFI_NAME \"Kestrel48x\"",
        "#define BUFFER_SIZE 0x1000ab",
        "ENV DB_HOST Kestrel48x",
        "set theme Kestrel48x",
        "set key value12b",
        "The auth service:v1.2.3-rc1 is up",
        "the community read 12ab34 books",
        "user eva opened ticket Kestrel48x",
    ] {
        stays(text);
    }
}

#[test]
fn a_command_takes_it_by_its_place() {
    for form in [
        "rabbitmqctl add_user shop @",
        "rabbitmqctl -n shop change_password shop @",
        "ejabberdctl register eva example.net @",
        "samba-tool user create eva @",
        "rasdial \"Office VPN\" eva @",
        "composer config http-basic.repo.example.net eva @",
        "poetry config http-basic.acme eva @",
        "htpasswd -nbB admin @",
        "htpasswd -cb /etc/nginx/.htpasswd eva @",
        "mosquitto_passwd -b /etc/mosquitto/passwd eva @",
        "openssl passwd -6 @",
        "caddy hash-password --plaintext @",
        "neo4j-admin dbms set-initial-password @",
        "grafana-cli admin reset-admin-password @",
        "cf auth eva @",
        "bw unlock @",
        "lftp -u eva,@ ftp.example.net",
        "xfreerdp /v:win01 /u:eva /p:@",
        "netsh wlan set profileparameter name=Home keyMaterial=@",
        "networksetup -setairportnetwork en0 Werkstatt @",
        "kinit eva <<< '@'",
        "echo @ | kinit eva",
        "echo '@' | openconnect --user=eva --passwd-on-stdin vpn.example.net",
        "printf '%s' '@' | gpg --batch --passphrase-fd 0 -d a.gpg",
        "restic --password-command \"echo @\" snapshots",
        "qpdf --encrypt @ @ 256 -- a.pdf b.pdf",
        "db2 connect to shop user eva using @",
        "radtest eva @ localhost 0 x",
    ] {
        goes(form);
    }
    goes(r#"["rabbitmqctl","add_user","shop","@"]"#);
    let key = random(40);
    for form in ["cargo login @", "vault operator unseal @", "ngrok config add-authtoken @"] {
        check(&form.replace('@', &key), &form.replace('@', "[API_KEY]"));
    }
    for text in [
        "rabbitmqctl list_queues shop-q12b",
        "rabbitmqctl add_vhost shop48Kx",
        "composer config bin-dir vendor2b",
        "htpasswd -v /etc/nginx/.htpasswd eva48x",
        "lftp -u eva ftp2b.example.net",
        "sort -u a1b2c3,d4e5f6",
        "xfreerdp /v:win01b2 /u:eva48x",
        "msbuild /p:Version48x",
        "echo Kestrel48x | tee a.txt",
        "echo Kestrel48x | sha256sum",
        "cat <<< Kestrel48x",
        "cargo login --help",
        "vault operator init1234",
        "kinit -c /tmp/krb5cc_1000a eva",
        "cf push app48x",
        "docker run app48x sh",
    ] {
        stays(text);
    }
}

#[test]
fn options_of_commands_take_it() {
    for form in [
        "bcp shop.dbo.t out t.csv -S db -U sa -P @ -c",
        "sqlcmd -S tcp:db -U sa -P '@'",
        "ipmitool -I lanplus -H bmc -U root -P @ power status",
        "rdesktop -u eva -p @ win01",
        "ncftpput -u eva -p @ ftp.example.net /in a.txt",
        "ldappasswd -x -D cn=admin -w @ -s @ uid=eva",
        "ldapdelete -D cn=admin -w @ cn=x",
        "snmpwalk -v3 -u mon -a SHA -A @ -x AES -X @ host",
        "snmpget -v2c -c @ switch1 sysUpTime.0",
        "mosquitto_pub -h mq -u eva -P @ -t a",
        "ssh-keygen -t ed25519 -N '@' -f id",
        "plink -ssh eva-web -pw @",
        "swaks --to ops -ap @",
        "slappasswd -s @",
        "doveadm pw -s SSHA512 -p @",
        "cypher-shell -u neo4j -p @",
        "mongorestore -u eva -p @ dump",
        "security unlock-keychain -p @ login.keychain",
        "7z x -p@ a.7z",
        "rar a -hp@ a.rar data",
        "check_mysql!-u mon -p @",
        "sometool --user eva -p @ run",
        "sometool -p @ -u eva run",
    ] {
        goes(form);
    }
    for text in [
        "docker run -p 127.0.0.1:8080:80 app",
        "docker run -u eva -p 8080:80/tcp app",
        "ssh -p 2222 -u eva host",
        "sudo -u eva mkdir -p Build48x",
        "cargo test -p tollgate48 -u x",
        "sometool -u eva -p web-2",
        "sometool -u 1000 -p Kestrel48x",
        "sometool -p Kestrel48x",
        "snmpget -v2c -c public switch1",
        "grep -c Kestrel48x a.txt",
        "tar -P Kestrel48x",
        "kubectl -N Kestrel48x",
        "plink -pw $PW eva",
        "gcc -pw word",
    ] {
        stays(text);
    }
}

#[test]
fn a_call_says_which_argument_is_the_password() {
    for form in [
        "ds.setPassword(\"@\");",
        "user.set_password('@')",
        "System.setProperty(\"javax.net.ssl.keyStorePassword\", \"@\");",
        "os.Setenv(\"DB_PASSWORD\", \"@\")",
        "form.append('password', '@')",
        "new PDO('mysql:host=db;dbname=shop', 'shop', '@')",
        "new mysqli('db', 'shop', '@', 'shop')",
        "DBI->connect(\"dbi:mysql:shop\", \"shop\", \"@\");",
        "DriverManager.getConnection(\"jdbc:mysql://db/shop\", \"shop\", \"@\")",
        "ssh.connect(host, 22, \"eva\", \"@\")",
        "ftp_login($c, \"eva\", \"@\")",
        "imap_open(\"{mail.example.net:993/ssl}\", \"eva\", \"@\")",
        "Net::FTP.new('ftp.example.net', 'eva', '@')",
        "smtp.PlainAuth(\"\", \"eva\", \"@\", host)",
        "req.SetBasicAuth(\"ops\", \"@\")",
        "new NetworkCredential(\"mailer\", \"@\")",
        "new PasswordAuthentication(\"eva\", \"@\")",
        "new UsernamePasswordCredentials(\"eva\", \"@\")",
        "neo4j.auth.basic('neo4j', '@')",
        "client.username_pw_set(\"eva\", \"@\")",
        "User.objects.create_user('eva', 'eva', '@')",
        "signInWithEmailAndPassword(auth, 'eva', '@')",
        "ldap_bind($l, 'cn=admin,dc=acme', '@')",
        "WiFi.begin(\"Werkstatt\", \"@\");",
        "wlan.connect('Werkstatt', '@')",
        "EXEC sp_addlinkedsrvlogin 'S', 'false', NULL, 'sa', '@';",
        "curl_setopt($ch, CURLOPT_USERPWD, 'ops:@');",
        "btoa('ops:@')",
        "base64.b64encode(b'ops:@')",
        "page.fill('input[type=password]', '@')",
        "ALTER USER 'r' IDENTIFIED WITH caching_sha2_password BY '@';",
    ] {
        goes(form);
    }
    for text in ["req.SetBasicAuth(\"ops\", \"7524#hirondelle\")", "auth=('ops', '7524-hirondelle')"] {
        let expected = text.replace("7524#hirondelle", "[PASSWORD]");
        let expected = expected.replace("7524-hirondelle", "[PASSWORD]");
        check(text, &expected);
    }
    for text in [
        "user.getPassword(\"Kestrel48x\")",
        "resetPassword(\"Kestrel48x\")",
        "ds.setPassword(config.password1)",
        "ds.setUsername(\"Kestrel48x\");",
        "System.setProperty(\"user.name\", \"Kestrel48x\");",
        "socket.connect('tcp', 'Kestrel48x')",
        "window.open('a.html', 'Kestrel48x')",
        "jQuery(document).bind('keypress', 'Ctrl+f1', f)",
        "register('widget', 'chart-v2')",
        "WiFi.begin(ssid1, pass1)",
        "new mysqli('db', 'shop', $pw, 'shop2db')",
        "page.fill('input[name=email]', 'Kestrel48x')",
        "curl_setopt($ch, CURLOPT_URL, 'ops:Kestrel48x')",
        "render('page:Kestrel48x')",
        "signal.connect('clicked', 'Kestrel48x')",
        "IDENTIFIED BY 'x'",
    ] {
        stays(text);
    }
}
