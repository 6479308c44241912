//! Processes of tenants: how many there are, and when they end.

use super::{
    super::{Caller, Means, wire::Said},
    *,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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
    child.request(b"{}".to_vec(), child.next_id(), None).await.unwrap().unwrap()
}

async fn gone(child: &Child) {
    timeout(Duration::from_secs(10), child.gone.cancelled()).await.unwrap();
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

/// Answers the second request with a large text.
const LARGE: &str = r#"read line
echo '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}}'
read line
printf '{"jsonrpc":"2.0","id":2,"result":{"text":"'
head -c 3000000 /dev/zero | tr '\0' x
echo '"}}'
while read line; do :; done"#;

/// It takes room from its first bytes on, is read when its turn has come, and keeps its room for whoever has it then.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_has_its_room_and_its_turn() {
    let means = Means::on_this_machine(CancellationToken::new());
    means.configure(Some(32 << 20));
    let share = |tenant: &str| Caller::tenant(tenant.into()).share();
    let mut places = Vec::new();
    let short = Duration::from_millis(200);
    while let Ok(turn) = timeout(short, means.turn(&share("b"), 1 << 20)).await {
        places.push(turn.unwrap());
    }
    let children = children(LARGE, 2);
    let child = of(&children, "a").await.unwrap();
    let large = Some(means.large(share("a")));
    let mut reply = child.request(b"{}".to_vec(), child.next_id(), large).await.unwrap().unwrap();
    assert!(timeout(Duration::from_secs(1), reply.next()).await.is_err(), "it is not its turn");
    assert!(!means.room("a".into()).holds(8 << 20), "it takes no room while it waits");
    places.clear();
    let Ok(Said::Result(result)) = reply.next().await else { panic!("no result") };
    assert_eq!(result.get("text").and_then(Value::as_str).map(str::len), Some(3_000_000));
    let taken = reply.taken();
    assert!(taken.bytes > 3_000_000 && !means.room("a".into()).holds(8 << 20), "{taken:?}");
    drop(taken);
    assert!(means.room("a".into()).holds(16 << 20));
    // Where there never is room for it, whoever waits is told so.
    means.configure(Some(16 << 20));
    let child = of(&children, "c").await.unwrap();
    let large = Some(means.large(share("c")));
    let mut reply = child.request(b"{}".to_vec(), child.next_id(), large).await.unwrap().unwrap();
    let told = reply.next().await.unwrap_err();
    assert_eq!(told, failed("the upstream's answer is too large to be inspected"));
    // What was read of it is let go behind the word.
    let given_back = async {
        while !means.room("c".into()).holds(8 << 20) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(Duration::from_secs(20), given_back).await.is_ok());
    assert!(child.serves());
}
