//! Processes of tenants: how many there are, and when they end.

use super::*;

/// Answers the first question as the newer era does, then nothing.
const SCRIPT: &str = r#"read line
echo '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}}'
while read line; do :; done"#;

fn children(script: &str, children_max: usize) -> Arc<Children> {
    let program = Program {
        name: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        secrets: Vec::new(),
        directory: "/".into(),
        first_byte: Duration::from_secs(5),
        idle: Duration::from_secs(5),
    };
    let mut children = Children::new("crm".into(), program);
    Arc::get_mut(&mut children).unwrap().children_max = children_max;
    children
}

async fn of(children: &Arc<Children>, tenant: &str) -> Result<Arc<Child>, Failed> {
    children.of(&tenant.into()).await
}

async fn ask(child: &Arc<Child>) -> Reply {
    child.request(b"{}".to_vec(), child.next_id()).await.unwrap().unwrap()
}

async fn gone(child: &Child) {
    tokio::time::timeout(Duration::from_secs(10), child.gone.cancelled()).await.unwrap();
}

#[tokio::test]
async fn where_there_are_too_many_the_one_that_idled_longest_ends() {
    let children = children(SCRIPT, 2);
    let a = of(&children, "a").await.unwrap();
    let b = of(&children, "b").await.unwrap();
    drop(ask(&a).await);
    let c = of(&children, "c").await.unwrap();
    gone(&b).await;
    assert!(a.serves() && c.serves() && b.failed_at().is_none());
    // Whoever is asked something is not ended for another.
    let asked = (ask(&a).await, ask(&c).await);
    let told = of(&children, "b").await.unwrap_err();
    assert_eq!(told, failed("the upstream serves too many tenants at once; try again later"));
    drop(asked);
    assert!(of(&children, "b").await.is_ok());
}

#[tokio::test]
async fn what_idles_for_too_long_ends_and_is_forgotten() {
    let children = children(SCRIPT, 64);
    let (a, b) = (of(&children, "a").await.unwrap(), of(&children, "b").await.unwrap());
    let asked = ask(&b).await;
    let later = clock::now() + Duration::from_secs(60);
    lock(&children.seats).sweep(later, Duration::from_secs(61));
    assert!(a.serves() && b.serves());
    lock(&children.seats).sweep(later, Duration::from_secs(59));
    gone(&a).await;
    assert!(!a.serves() && b.serves());
    lock(&children.seats).sweep(later, Duration::from_secs(59));
    assert_eq!(lock(&children.seats).by_tenant.keys().map(|tenant| &**tenant).collect::<Vec<_>>(), ["b"]);
    drop(asked);
    // The next use starts another, at once.
    assert!(!Arc::ptr_eq(&a, &of(&children, "a").await.unwrap()));
}

#[tokio::test]
async fn all_end_with_the_server() {
    let children = children(SCRIPT, 64);
    let (a, b) = (of(&children, "a").await.unwrap(), of(&children, "b").await.unwrap());
    children.stop().await;
    assert!(a.gone.is_cancelled() && b.gone.is_cancelled());
    assert!(of(&children, "a").await.is_err());
    let children = self::children(SCRIPT, 64);
    let a = of(&children, "a").await.unwrap();
    drop(children);
    gone(&a).await;
}

#[tokio::test]
async fn what_does_not_end_by_itself_is_made_to_with_all_that_it_started() {
    // Neither it nor what it started ends with its stdin, or when it is told to.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!(
        "trap '' TERM\nsleep 300 & echo $! > {}\nread line\necho '{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"supportedVersions\":[\"2026-07-28\"]}}}}'\nwhile :; do sleep 300; done",
        file.display()
    );
    let children = children(&script, 64);
    let child = of(&children, "a").await.unwrap();
    let started = clock::now();
    children.stop().await;
    assert!(child.gone.is_cancelled());
    assert!(started.elapsed() >= Duration::from_secs(3), "it was not waited for");
    let pid = std::fs::read_to_string(file).unwrap();
    // Its parent is gone too: perhaps nobody takes note of its end.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z ")), "{pid}");
}

#[tokio::test]
async fn one_start_is_shared() {
    let children = children(SCRIPT, 64);
    let mut started = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let children = Arc::clone(&children);
        started.spawn(async move { of(&children, "a").await.unwrap().started });
    }
    let started = started.join_all().await;
    assert!(started.iter().all(|one| *one == started[0]));
}
