//! O: what the operator's surroundings do: certificates that are over, a disk that is full.

use crate::{
    before::TENANTS,
    frames::tls,
    support::{ACME, Gateway, chat, run},
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::{fs, io::Write, time::Duration};

/// A certificate for `localhost` that is good from the one year until the other, and its key.
fn certificate(from: i32, until: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The value of a metric, by the beginning of its line.
fn value(gateway: &Gateway, name: &str) -> i64 {
    let metrics = gateway.admin_get("/metrics").body;
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    assert!(found.is_some(), "{name} is not in {metrics}");
    found.unwrap().parse().unwrap()
}

/// O9: a certificate that clients refuse is loaded where the operator says so, and told on standard error and in a metric;
/// files that hold none change nothing, and are told too.
#[test]
fn o9_a_certificate_that_is_over_is_loud() {
    let (good, key) = certificate(2020, 2040);
    let gateway = Gateway::start_with_files(&[("cert.crt", &good), ("key.key", &key)]).watched();
    let expiry =
        format!("tollgate_certificate_expiry_timestamp_seconds{{listen=\"127.0.0.1:{}\"}}", gateway.tls);
    let time = |year| date_time_ymd(year, 1, 1).unix_timestamp();
    let put = |cert: &str, key: &str| {
        fs::write(gateway.dir.path().join("cert.crt"), cert).unwrap();
        fs::write(gateway.dir.path().join("key.key"), key).unwrap();
        gateway.reload().status
    };
    // Whether a client that trusts this certificate gets an answer.
    let serves = |pem: &str| {
        let (_, mut stream) = tls::connect(gateway.tls, pem, b"http/1.1");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok()
    };
    let loud = || gateway.stderr().matches(&format!("the certificate of 127.0.0.1:{} ", gateway.tls)).count();
    assert_eq!((value(&gateway, &expiry), loud(), serves(&good)), (time(2040), 0, true));
    let (over, over_key) = certificate(2020, 2021);
    assert_eq!(put(&over, &over_key), 200);
    assert_eq!((value(&gateway, &expiry), loud(), serves(&over)), (time(2021), 1, false));
    let said = "has been over since 2021-01-01T00:00:00.000Z: clients refuse it";
    assert!(gateway.stderr().contains(said), "{}", gateway.stderr());
    let (early, early_key) = certificate(2090, 2091);
    assert_eq!(put(&early, &early_key), 200);
    assert_eq!((value(&gateway, &expiry), loud(), serves(&early)), (time(2091), 2, false));
    assert!(gateway.stderr().contains("is good only from 2090-01-01"), "{}", gateway.stderr());
    let (fresh, fresh_key) = certificate(2020, 2050);
    assert_eq!(put(&fresh, &fresh_key), 200);
    assert_eq!((value(&gateway, &expiry), loud(), serves(&fresh)), (time(2050), 2, true));
    for (cert, key) in
        [("no certificate", fresh_key.as_str()), (&good, "no key"), (&good, &over_key), ("", "")]
    {
        let before = gateway.stderr().len();
        assert_eq!(put(cert, key), 422, "{cert}");
        assert_eq!(value(&gateway, "tollgate_config_last_reload_successful"), 0);
        assert!(gateway.stderr()[before..].contains("was not reloaded"), "{}", gateway.stderr());
        // The last good one goes on.
        assert_eq!((value(&gateway, &expiry), serves(&fresh)), (time(2050), true));
    }
    assert_eq!(put(&fresh, &fresh_key), 200);
    assert_eq!(value(&gateway, "tollgate_config_last_reload_successful"), 1);
    // At a start, too.
    let gateway = Gateway::start_with_files(&[("cert.crt", &over), ("key.key", &over_key)]).watched();
    assert!(gateway.stderr().contains(said), "{}", gateway.stderr());
}

/// O4: a disk that is full, where one may be mounted: nothing is served that cannot be written down, and it comes back alone.
#[test]
fn o4_a_disk_that_is_full_stops_requests_until_there_is_room() {
    let mut gateway = Gateway::with(TENANTS, "");
    let script = "exec unshare -m sh -c 'mount -t tmpfs -o size=3m none data && exec SERVE'";
    if !gateway.restart_by(script) {
        println!("left out: there are no mount namespaces for this user: {}", gateway.stderr());
        return;
    }
    let data = gateway.seen_by_it("data");
    let ask = |gateway: &Gateway| gateway.chat(ACME, &chat("hi", ""));
    let mut served = 0;
    for round in 0..2 {
        assert_eq!(ask(&gateway).status, 200);
        served += 1;
        // Where all is full, not a byte more goes in.
        let mut filler = fs::File::create(data.join("filler")).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        drop(filler);
        let mut refused = 0;
        gateway.wait("requests to be refused", |gateway| {
            let told = ask(gateway);
            served += usize::from(told.status == 200);
            refused += usize::from(told.status == 503 && told.code() == "records_unavailable");
            assert!([200, 503].contains(&told.status), "{told:?}");
            refused >= 5
        });
        assert_eq!(value(&gateway, "tollgate_records_writable"), 0, "{round}");
        fs::remove_file(data.join("filler")).unwrap();
        gateway.wait("its end", |gateway| {
            let is_served = ask(gateway).status == 200;
            served += usize::from(is_served);
            is_served && value(gateway, "tollgate_records_writable") == 1
        });
    }
    // Whatever was answered is on it.
    let lines = || -> usize {
        let files = fs::read_dir(data.join("log/acme")).unwrap().flatten();
        let texts = files.map(|file| crate::support::wellbeing::text_of(&file.path()));
        texts.map(|text| text.lines().filter(|line| line.contains("\"status\":200")).count()).sum()
    };
    gateway.wait("the records", |_| lines() >= served);
    assert_eq!(lines(), served);
    std::thread::sleep(Duration::from_millis(200));
    let (status, out, err) = run(&["audit", "verify", data.to_str().unwrap()], gateway.dir.path(), "");
    assert_eq!(status, 0, "{out}{err}");
}
