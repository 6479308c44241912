//! O5: what a store that is asked and says nothing costs.

use super::*;
use crate::quota::{Amount, Quota};

/// One of two gateways, and the questions that it asks.
fn joined() -> (Fleet, mpsc::Receiver<Question>) {
    let view = Arc::new(View {
        is_joined: AtomicBool::new(true),
        gateways: AtomicU32::new(2),
        wait: WAIT,
        late: AtomicU32::new(0),
        touched: Mutex::default(),
        wake: Notify::new(),
        unanswered: AtomicU64::new(0),
        line: Mutex::default(),
    });
    let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
    let places = Arc::new(Semaphore::new(PLACES));
    (Fleet { view, questions, prefix: PREFIX.to_owned(), seal: None, places }, asked)
}

/// O5: a store that is asked and says nothing costs a request what is configured and not more, and after some of them nothing;
/// counted on a clock that moves only while all wait.
#[tokio::test(start_paused = true)]
async fn o5_a_silent_store_costs_a_few_requests_what_is_configured_and_the_others_nothing() {
    for at_once in [1, 7, 100] {
        let (fleet, mut asked) = joined();
        let silent = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Some(question) = asked.recv().await {
                kept.push(question);
            }
            kept.len()
        });
        let quota = Quota::new(None, Some(1000));
        quota.share("acme", &fleet.peers());
        let now = Now { instant: clock::now(), unix_s: 0 };
        let mut waits = Vec::new();
        for _ in 0..300 / at_once {
            let asking = (0..at_once).map(|_| async {
                let claim = quota.claim(None::<(std::iter::Empty<usize>, Amount)>, true, now).unwrap();
                let begun = tokio::time::Instant::now();
                assert!(matches!(fleet.ask(claim, now).await, Answer::Admitted(..)));
                begun.elapsed()
            });
            let all: Vec<_> = asking.collect();
            for wait in futures_of(all).await {
                waits.push(wait);
            }
        }
        assert!(waits.iter().all(|wait| *wait < Duration::from_millis(5)), "{waits:?}");
        // Those that were under way when it was found out waited, and nobody since.
        let waited = waits.iter().filter(|wait| !wait.is_zero()).count();
        assert_eq!(waited, at_once.max(usize::try_from(LATE_MAX).unwrap()), "{at_once} at once");
        let count = u64::try_from(waits.len()).unwrap();
        assert_eq!((fleet.unanswered(), fleet.standing()), (count, (false, 2)));
        drop((quota, fleet));
        assert_eq!(silent.await.unwrap(), waited, "who does not wait does not ask");
    }
}

/// All of them at once.
async fn futures_of<F: Future>(all: Vec<F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut all {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}
