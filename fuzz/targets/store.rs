//! Requests to the vector stores that tenants share, GraphQL among them: each is refused, or becomes a conversation whose
//! every request names one path of the store's and is JSON, whatever the store answers. The input is a line
//! `STORE METHOD PATH?QUERY`, the body, and behind an empty line what the store answers.
#![no_main]
use tollgate::{
    json,
    retrieval::{Cursors, Fence, Reply, Step, Store},
    tool_api::Request,
};

const STEPS_MAX: usize = 16;

fn fence(is_shared: bool) -> Fence {
    Fence {
        upstream: "docs".into(),
        tenant: "acme".into(),
        field: is_shared.then(|| "tenant_id".into()),
        prefix: (!is_shared).then(|| "acme--".into()),
        cursors: Cursors::new(&[7; 32], 1_800_000_000),
    }
}

fn talk(
    store: Store,
    is_shared: bool,
    (method, target, body): (&str, &str, &str),
    answer: &[u8],
) -> Option<()> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let method: http::Method = method.parse().ok()?;
    let body = store.body(path, body.as_bytes(), 64).ok()?;
    let request = Request::read_with_lists(&method, path, query, body, store.lists()).ok()?;
    let fence = fence(is_shared);
    let found = store.find(request).ok()?;
    let name = found.lookup().map(|_| fence.outer("notes"));
    let understood = found.understand(&fence, name.as_deref()).ok()?;
    let mut conversation = understood.begin();
    let mut reply = None;
    for _ in 0..STEPS_MAX {
        match conversation.next(reply.take()).ok()? {
            Step::Send(sending) => {
                assert!(sending.target.starts_with('/') && !sending.target.contains(['\r', '\n', ' ', '#']));
                assert!(!sending.target.split(['/', '?']).any(|part| part == ".." || part == "."));
                for line in sending.body.split(|byte| *byte == b'\n' && sending.lines) {
                    assert!(line.is_empty() || json::parse(line, 128).is_ok());
                }
                reply = Some(Reply { status: 200, body: answer.to_vec().into() });
            }
            Step::Tell(_) | Step::Fail(_) => return Some(()),
        }
    }
    None
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (body, answer) = rest.split_once("\n\n").unwrap_or((rest, "{}"));
    let mut words = head.split(' ');
    let (Some(store), Some(method), Some(target)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    let Some(store) = Store::ALL.into_iter().find(|known| known.as_str() == store) else { return };
    for is_shared in [true, false] {
        let _ = talk(store, is_shared, (method, target, body), answer.as_bytes());
    }
});
