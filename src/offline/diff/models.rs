//! Models that a tenant gains and loses, and models that go somewhere else.

use super::{Direction, Kind, Note, Side};
use crate::{
    config::{At, raw},
    offline::{Asker, Configuration, universe::Name},
    policy::glob::Glob,
    usage::MicroUsd,
};
use std::collections::{BTreeMap, BTreeSet};

/// Models that a tenant may ask for in one configuration and not in the other.
pub(super) fn compare(tenant: &str, sides: [Side<'_>; 2]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    let mut told: BTreeSet<(String, Direction)> = BTreeSet::new();
    for name in names(sides) {
        let Some(note) = note(tenant, &name, sides) else { continue };
        let is_told = |part: &String| told.contains(&(part.clone(), note.direction));
        if let Name::Both(a, b) = &name
            && [a, b].into_iter().any(is_told)
        {
            continue;
        }
        told.insert((name.to_string(), note.direction));
        notes.push(note);
    }
    notes
}

fn note(tenant: &str, name: &Name, [old, new]: [Side<'_>; 2]) -> Option<Note> {
    let sample = name.sample()?;
    let (direction, text) = match (may_use(old, &sample), may_use(new, &sample)) {
        (false, true) => {
            let place = place(new, &sample).map(|place| format!(" through {place}"));
            (Direction::Gains, format!("{tenant} gains the model {name}{}", place.unwrap_or_default()))
        }
        (true, false) => {
            let why = new.member.map(|member| Asker::new(&new.configuration.snapshot, member.tenant(), None));
            let why = why.and_then(|asker| asker.why_not(&sample)).map(|why| format!("; now {why}"));
            let was = place(old, &sample).map(|place| format!(", which {place} gave"));
            let text = format!(
                "{tenant} loses the model {name}{}{}",
                was.unwrap_or_default(),
                why.unwrap_or_default()
            );
            (Direction::Loses, text)
        }
        (false, false) | (true, true) => return None,
    };
    let mut note = Note::new(Kind::Model, &name.to_string(), direction, text);
    note.rules = [old, new].map(|side| place(side, &sample));
    Some(note)
}

/// The models that either configuration or the tenant names.
pub(super) fn names(sides: [Side<'_>; 2]) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for side in sides {
        let gateway = side.configuration.loaded.gateway.as_ref();
        let configured = gateway.iter().flat_map(|gateway| &gateway.models.0).map(|(name, _)| &name.value);
        let lists = side.effective().map(|effective| effective.models.as_slice()).unwrap_or_default();
        let own = lists.iter().copied().flatten();
        let keys =
            side.held.iter().flat_map(|held| &held.raw.keys).flat_map(|key| key.models.iter().flatten());
        names.extend(
            configured.chain(own.chain(keys).map(|name| &name.value)).map(|name| Name::written(name)),
        );
    }
    // A list that was cut to some of its models shows on what it and the configured globs have in common.
    let globs: Vec<&str> = names.iter().filter_map(glob).collect();
    let pairs = globs.iter().flat_map(|a| globs.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b);
    let both: Vec<Name> = pairs.map(|(a, b)| Name::Both(a.to_owned(), b.to_owned())).collect();
    names.extend(both);
    names
}

fn glob(name: &Name) -> Option<&str> {
    match name {
        Name::Glob(glob) => Some(glob),
        Name::Both(..) | Name::Exact(_) => None,
    }
}

fn may_use(side: Side<'_>, model: &str) -> bool {
    let asker = side.member.map(|member| Asker::new(&side.configuration.snapshot, member.tenant(), None));
    asker.is_some_and(|asker| asker.may_use(model))
}

/// Where the glob stands that gives a model to a tenant.
fn place(side: Side<'_>, model: &str) -> Option<String> {
    // The tenant's own list is the last.
    let globs = side.effective()?.models.last()?;
    let found = globs.iter().find(|glob| Glob::new(&glob.value).matches(model))?;
    Some(side.configuration.place(found.at).to_string())
}

/// Models of both configurations that go to other upstreams, or under another name.
pub(super) fn targets(old: &Configuration, new: &Configuration) -> Vec<Note> {
    let [was, now] = [old, new].map(|configuration| {
        let gateway = configuration.loaded.gateway.as_ref();
        let models = gateway.iter().flat_map(|gateway| &gateway.models.0);
        models.map(|(name, model)| (name.value.as_str(), target(model))).collect::<BTreeMap<_, _>>()
    });
    let changed = was.iter().filter_map(|(name, was)| {
        let now = now.get(name).filter(|now| *now != was)?;
        let text = format!("the model {name} goes to {now}, not to {was}");
        let note = Note::new(Kind::Model, name, Direction::Changes, text);
        Some(note.values(Some(was.clone()), Some(now.clone())))
    });
    changed.collect()
}

/// Models of both configurations that cost something else.
pub(super) fn prices(old: &Configuration, new: &Configuration) -> Vec<Note> {
    let [was, now] = [old, new].map(|configuration| {
        let gateway = configuration.loaded.gateway.as_ref();
        let models = gateway.iter().flat_map(|gateway| &gateway.models.0);
        models.map(|(name, model)| (name.value.as_str(), price(model))).collect::<BTreeMap<_, _>>()
    });
    let changed = was.iter().filter_map(|(name, was)| {
        let now = now.get(name).filter(|now| *now != was)?;
        let text = format!("the model {name} costs {now}, not {was}");
        let note = Note::new(Kind::Model, name, Direction::Changes, text);
        Some(note.values(Some(was.clone()), Some(now.clone())))
    });
    changed.collect()
}

fn price(model: &raw::Model) -> String {
    let Some(price) = &model.price else { return "nothing".to_owned() };
    let of = [
        ("input", &price.input),
        ("cached input", &price.cached_input),
        ("cache writes", &price.cache_write),
        ("output", &price.output),
    ];
    let each = of
        .into_iter()
        .filter_map(|(what, usd)| Some(format!("{} for {what}", MicroUsd(usd.as_ref()?.value.0))));
    format!("{} (USD a million tokens)", each.collect::<Vec<_>>().join(", "))
}

fn target(model: &raw::Model) -> String {
    let upstreams: Vec<&str> = model.upstream.0.iter().map(|at: &At<String>| at.value.as_str()).collect();
    let named = model.upstream_name.as_ref().map(|name| format!(" as {}", name.value));
    format!("{}{}", upstreams.join(", then "), named.unwrap_or_default())
}
