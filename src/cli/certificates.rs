//! The certificates of listeners: replaced on a reload, told in the metrics, and loud while clients refuse them.

use crate::{
    clock,
    config::compile,
    operator,
    records::rfc3339,
    server::{Tls, Validity},
    telemetry::Telemetry,
};
use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// One that is not good is told of again after so long.
const TELL_EVERY: Duration = Duration::from_secs(3600);

/// Those that can be replaced.
#[derive(Debug, Default)]
pub(super) struct Certificates(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    listeners: Vec<(SocketAddr, Tls)>,
    /// When they were looked at for the operator.
    told: Option<Instant>,
}

impl Certificates {
    pub(super) fn keep(&self, address: SocketAddr, tls: Option<&Tls>) {
        self.shown().listeners.extend(tls.map(|tls| (address, tls.clone())));
    }

    /// New connections get the certificates that the files hold now; those that are open stay.
    pub(super) fn renew(&self, serve: &compile::Serve) {
        let mut shown = self.shown();
        shown.told = None;
        for listen in &serve.listen {
            let known = shown.listeners.iter().find(|(address, _)| *address == listen.address);
            if let (Some((_, tls)), Some(files)) = (known, &listen.tls)
                && let Err(bad) = tls.replace(files)
            {
                operator::warn(&format!("the certificate of {} was not replaced: {bad}", listen.address));
            }
        }
    }

    /// Tells until when they are good; and of those that are not, at once and then every hour.
    pub(super) fn look(&self, telemetry: &Telemetry) {
        let (now, mut shown) = (clock::now(), self.shown());
        let tells = shown.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        let known = |(address, tls): &(SocketAddr, Tls)| Some((*address, tls.validity()?));
        let all: Vec<(SocketAddr, Validity)> = shown.listeners.iter().filter_map(known).collect();
        if tells {
            shown.told = Some(now);
            let seconds = clock::unix_seconds(clock::wall());
            all.iter().filter_map(|known| wrong(known, seconds)).for_each(|wrong| operator::warn(&wrong));
        }
        drop(shown);
        telemetry.certificates(all.iter().map(|(address, validity)| (address.to_string(), validity.until)));
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why clients refuse a certificate now.
fn wrong((address, validity): &(SocketAddr, Validity), now: i64) -> Option<String> {
    let Validity { from, until } = *validity;
    let wrong = match now {
        _ if now > until => format!("has been over since {}", time(until)),
        _ if now < from => format!("is good only from {} on", time(from)),
        _ => return None,
    };
    Some(format!(
        "the certificate of {address} {wrong}: clients refuse it; put one that is good in its file and reload"
    ))
}

fn time(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    rfc3339(SystemTime::UNIX_EPOCH + since)
}
