//! What MCP servers say of themselves, as far as it is recorded: what hides in a definition, or speaks to the model. What
//! a person approved was looked at, and is not told of again.

use super::Found;
use crate::{
    config::{Problem, raw},
    pins::{
        Book, Item,
        book::FIRST_USE,
        hygiene::{self, Neighbours, shown},
    },
};

/// Of a server, so many are named.
const NAMED_MAX: usize = 3;

pub(super) fn lint(gateway: &raw::Gateway, books: &[Book], found: &mut Found) {
    for book in books {
        let Some((server, _)) = gateway.upstreams.0.iter().find(|(name, _)| name.value == book.server) else {
            continue;
        };
        let others = gateway.upstreams.0.iter().map(|(name, _)| &name.value);
        let servers = others.filter(|other| **other != book.server).cloned().collect();
        let neighbours = Neighbours { servers, ..Neighbours::default() };
        let named: Vec<String> = book
            .items
            .iter()
            .filter(|(_, item)| nobody_approved(item))
            .filter_map(|(which, item)| {
                let findings = hygiene::inspect(&book.server, &item.latest()?.value, &neighbours);
                let first = findings.first()?;
                let (at, what) = (shown(&first.at), shown(&first.what));
                Some(format!("`{}`: {at}: {what}", shown(&which.name(&book.server))))
            })
            .collect();
        if named.is_empty() {
            continue;
        }
        let more = named.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let shown = named.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
        let hint = format!(
            "look with `tollgate pins list --server {0}`; `pin: enforce` serves what `tollgate pins approve` let through",
            book.server
        );
        found.push(Problem::warning("suspicious-definition", server.at, format!("{shown}{more}")).hint(hint));
    }
}

fn nobody_approved(item: &Item) -> bool {
    let by_first_use = item.approved.as_ref().is_none_or(|known| known.by == FIRST_USE);
    item.gone.is_none() && (item.pending.is_some() || by_first_use)
}
