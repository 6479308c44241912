//! U5, T9: names that do not resolve, or to something else each time; addresses behind which nobody answers; certificates
//! that are over. What resolves names is a stub in this process: the gateway sees another `/etc/resolv.conf`, where the
//! system lets a test do so (root, and mount namespaces); elsewhere those tests say that they were left out.

use crate::{
    before::{NO_RETRY, TENANTS, ask, ask_as, before, behind},
    fault::{Upstream, answer, whole},
    support::{ACME, GLOBEX, Gateway},
};
use std::{
    io::Write,
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
/// Of the public internet, as far as the gateway knows; nobody needs to be there.
const PUBLIC: [u8; 4] = [192, 88, 99, 1];

/// What the stub says of a name.
enum Said {
    Address(Vec<[u8; 4]>),
    ServFail,
    Nothing,
}

/// A resolver that answers by the first label and how often that was asked for; `None` where it may not listen.
fn resolver(says: impl Fn(&str, usize) -> Said + Send + 'static) -> Option<SocketAddr> {
    let pid = std::process::id().to_be_bytes();
    let address = SocketAddr::from(([127, 64 + pid[1] % 64, pid[2], pid[3].max(1)], 53));
    let socket = UdpSocket::bind(address).ok()?;
    std::thread::spawn(move || {
        let (mut packet, mut asked) = ([0; 1500], std::collections::HashMap::<String, usize>::new());
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let question = &packet[12..length];
            let label = usize::from(question[0]);
            let name = String::from_utf8_lossy(&question[1..=label]).into_owned();
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_ipv4 = question[end - 3] == 1;
            let count = asked.entry(name.clone()).or_default();
            let said = says(&name, *count);
            // Each look-up asks for both kinds of addresses.
            *count += usize::from(is_ipv4);
            let (code, addresses) = match said {
                Said::Nothing => continue,
                Said::ServFail => (2, Vec::new()),
                Said::Address(addresses) => (0, if is_ipv4 { addresses } else { Vec::new() }),
            };
            let mut reply = packet[..2].to_vec();
            reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
            reply.extend(&question[..end]);
            for address in addresses {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                reply.extend(address);
            }
            drop(socket.send_to(&reply, from));
        }
    });
    Some(address)
}

/// A gateway whose upstreams go by their names' first labels, that asks this resolver; `None` where that cannot be had.
fn asking(resolver: Option<SocketAddr>, upstreams: &[(&str, u16, &str)]) -> Option<Gateway> {
    let Some(resolver) = resolver else {
        println!("left out: port 53 is not to be had");
        return None;
    };
    let yaml: String = upstreams
        .iter()
        .map(|(name, port, more)| {
            format!("  {name}: {{ kind: openai, url: \"http://{name}.stub.test:{port}/v1\", retry: {{ attempts: 0 }}{more} }}\n")
        })
        .collect();
    let names: Vec<&str> = upstreams.iter().map(|(name, ..)| *name).collect();
    let mut gateway = behind(&yaml, &names, "");
    let text = format!("nameserver {}\noptions timeout:1 attempts:1\n", resolver.ip());
    std::fs::write(gateway.dir.path().join("resolv.conf"), text).unwrap();
    let can =
        gateway.restart_by("exec unshare -m sh -c 'mount --bind resolv.conf /etc/resolv.conf && exec SERVE'");
    if !can {
        println!("left out: there are no mount namespaces for this user");
    }
    can.then_some(gateway)
}

/// Answers one request a connection, so that each looks its name up.
fn once() -> Upstream {
    Upstream::acting(|_, socket| {
        drop(
            socket.write_all(
                answer("ok").replace("content-type", "connection: close\r\ncontent-type").as_bytes(),
            ),
        );
        false
    })
}

#[test]
fn u5_names_that_fail_are_told_to_the_operator_and_come_back() {
    let upstream = once();
    let resolver = resolver(|name, count| match name {
        "good" => Said::Address(vec![LOOPBACK]),
        "flapping" if count % 2 == 0 => Said::ServFail,
        "flapping" => Said::Address(vec![LOOPBACK]),
        "failing" => Said::ServFail,
        _ => Said::Nothing,
    });
    let slow = ", timeout: { connect: 2s }";
    let upstreams = [
        ("good", upstream.port, ""),
        ("failing", upstream.port, ""),
        ("flapping", upstream.port, ""),
        ("silent", upstream.port, slow),
    ];
    let Some(gateway) = asking(resolver, &upstreams) else { return };
    assert_eq!(ask(&gateway, "good").status, 200, "{}", gateway.stderr());
    let told = ask(&gateway, "failing");
    assert_eq!((told.status, told.code().as_str()), (502, "upstream_error"));
    let begin = Instant::now();
    let silent = ask(&gateway, "silent");
    assert_eq!(
        (silent.status, silent.json()["error"]["message"].clone()),
        (502, told.json()["error"]["message"].clone())
    );
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let answers: Vec<u16> = (0..8).map(|_| ask(&gateway, "flapping").status).collect();
    assert!(
        answers.contains(&200) && answers.iter().all(|status| [200, 502].contains(status)),
        "{answers:?}"
    );
    assert_eq!(ask(&gateway, "good").status, 200);
    let stderr = gateway.stderr();
    assert!(
        stderr.contains(
            "upstream failing: no connection to the upstream: the name cannot be looked up for now"
        ),
        "{stderr}"
    );
    assert!(stderr.contains("upstream silent: no connection to the upstream: "), "{stderr}");
}

/// T9: a name that is public once and private the next time, or both at once, leads to nothing that is private.
#[test]
fn t9_a_name_that_is_bound_anew_leads_to_nothing_private() {
    let upstream = once();
    let resolver = resolver(|name, count| match name {
        "turning" if count == 0 => Said::Address(vec![PUBLIC]),
        "mixed" => Said::Address(vec![LOOPBACK, PUBLIC, [169, 254, 169, 254]]),
        _ => Said::Address(vec![LOOPBACK]),
    });
    let guarded = ", deny_private: true, timeout: { connect: 1s }";
    let upstreams =
        [("turning", upstream.port, guarded), ("mixed", upstream.port, guarded), ("open", upstream.port, "")];
    let Some(gateway) = asking(resolver, &upstreams) else { return };
    for _ in 0..4 {
        for name in ["turning", "mixed"] {
            assert_eq!(ask(&gateway, name).status, 502, "{name}");
        }
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 0);
    let stderr = gateway.stderr();
    assert!(stderr.contains("upstream turning: no connection to the upstream: "), "{stderr}");
    assert_eq!((ask(&gateway, "open").status, upstream.requests()), (200, 1), "the stub works");
}

/// An address that takes a connection's first packet and says nothing.
#[test]
fn u5_an_address_that_says_nothing_meets_the_timeout() {
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    hole.bind(&SocketAddr::from((LOOPBACK, 0)).into()).unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        held.push(socket);
        assert!(held.len() < 100, "it never fills");
    }
    let here = Upstream::answering();
    let yaml = format!(
        "  hole: {{ kind: openai, url: \"http://{address}/v1\", timeout: {{ connect: 1s }}, retry: {{ attempts: 0 }} }}\n{}",
        here.yaml("here", "")
    );
    let gateway = behind(&yaml, &["hole"], "  both: { upstream: [hole, here] }\n");
    let begin = Instant::now();
    assert_eq!(ask(&gateway, "hole").status, 504);
    assert!((1..15).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert_eq!(ask(&gateway, "both").status, 200, "another upstream is asked instead");
    let stderr = gateway.stderr();
    assert!(stderr.contains("upstream hole: no connection to the upstream: "), "{stderr}");
    gateway.in_flight(0);
}

#[test]
fn u5_a_certificate_that_is_over_is_told_to_the_operator_alone() {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    // A gateway is a TLS server as good as any.
    let secure =
        Gateway::start_with_files(&[("cert.crt", &pem), ("key.key", &key.serialize_pem())]).watched();
    let yaml = format!(
        "  over: {{ kind: openai, url: \"https://localhost:{}/v1\", ca: ca.pem, retry: {{ attempts: 0 }} }}\n",
        secure.tls
    );
    let gateway =
        Gateway::with_all(TENANTS, &|_| yaml.clone(), "  over: { upstream: over }\n", &[("ca.pem", &pem)])
            .watched();
    let told = ask(&gateway, "over");
    assert_eq!((told.status, told.code().as_str()), (502, "upstream_error"));
    assert!(!told.body.contains("certificate"), "{told:?}");
    let stderr = gateway.stderr();
    assert!(
        stderr.contains("upstream over: no TLS with the upstream: the certificate has expired"),
        "{stderr}"
    );
}

/// U4: what a tenant asks for opens its own circuit, and nobody else's; no connection opens everybody's.
#[test]
fn u4_one_tenants_failures_are_not_anothers() {
    let poisoned = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&poisoned);
    let (good, bad) = (answer("ok"), whole(500, "{}"));
    let upstream = Upstream::reading(move |request, socket| {
        let is_poison = request.contains("poison");
        count.fetch_add(usize::from(is_poison), Ordering::SeqCst);
        socket.write_all(if is_poison { &bad } else { &good }.as_bytes()).is_ok()
    });
    let gateway = before(&[("shared", &upstream, NO_RETRY)], "  dead: { upstream: gone }\n");
    let ask = |key, model, text| ask_as(&gateway, key, model, text);
    for _ in 0..20 {
        assert_eq!(ask(ACME, "shared", "poison").status, 502);
        assert_eq!(ask(GLOBEX, "shared", "hi").status, 200);
    }
    assert_eq!(poisoned.load(Ordering::SeqCst), 5, "the rest were not sent");
    assert!(gateway.stderr().contains("it is left alone by tenant acme for 10 s"), "{}", gateway.stderr());
    // Where there is nobody, one tenant finds that out for all.
    for _ in 0..5 {
        assert_eq!(ask(ACME, "dead", "hi").status, 502);
    }
    let told = ask(GLOBEX, "dead", "hi");
    assert!(told.status == 502 && told.body.contains("left alone"), "{told:?}");
}
