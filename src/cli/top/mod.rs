//! `tollgate top`: what tenants do now, at a terminal. Asks the admin port of a gateway that runs, every few seconds;
//! where there is no terminal, or with `--once`, it prints the table once.

mod screen;
mod terminal;

use super::{Config, Format, Status, admin_client::AdminClient, print, serve::runtime, signals::told_to_end};
use crate::{clock, json::Value};
use clap::builder::{StringValueParser, TypedValueParser};
use http::Method;
use screen::{Sort, Told, View};
use std::{
    io::{IsTerminal, stdin, stdout},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use terminal::Terminal;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// The admin port to ask, instead of the configuration's; its token comes from TOLLGATE_ADMIN_TOKEN
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print the table once, as where there is no terminal
    #[arg(long)]
    once: bool,
    /// How often it is refreshed
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = StringValueParser::new().try_map(interval))]
    every: Duration,
    /// What the rows are sorted by at first
    #[arg(long, value_enum, default_value = "rate")]
    sort: Sort,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The admin token, where the port is named by its URL.
const TOKEN: &str = "TOLLGATE_ADMIN_TOKEN";
const PATH: &str = "/admin/tenants?limit=10000";
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(3600);

#[expect(clippy::needless_pass_by_value, reason = "what reads arguments hands over a text")]
fn interval(text: String) -> Result<Duration, &'static str> {
    let every = crate::config::values::duration(&text).ok().filter(|every| EVERY.contains(every));
    every.ok_or("expected a duration from 1s to 1h")
}

/// What was told last, or why nothing was.
type Last = Arc<Mutex<Result<Told, String>>>;

pub(super) fn run(arguments: &Arguments) -> Status {
    let client = match &arguments.admin {
        None => AdminClient::of_config(&arguments.config.config),
        Some(url) => AdminClient::of_url(url, std::env::var(TOKEN).ok().as_deref()),
    };
    let client = match client {
        Ok(client) => client,
        Err(message) => return print::failed(&message),
    };
    let Ok(runtime) = runtime() else { return print::failed("the system gives no threads") };
    // Asked before the terminal is taken: what is wrong at the beginning is told as usual.
    let first = match runtime.block_on(client.call(&Method::GET, PATH, String::new())) {
        Ok(told) => told,
        Err(message) => return print::failed(&message),
    };
    let view = View { sort: arguments.sort, is_reversed: false, from: 0, colour: print::colour(&stdout()) };
    let is_live = !arguments.once
        && arguments.format == Format::Text
        && stdout().is_terminal()
        && stdin().is_terminal();
    if !is_live {
        print_once(arguments.format, &first, view);
        return Status::Fine;
    }
    let url = client.url().to_owned();
    let last: Last = Arc::new(Mutex::new(Ok(Told::of(&first))));
    let (told, every) = (Arc::clone(&last), arguments.every);
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let answer = client.call(&Method::GET, PATH, String::new()).await;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = answer.map(|answer| Told::of(&answer));
        }
    });
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    // Before the terminal is taken: no signal may end what has it.
    let end = {
        let _inside = runtime.enter();
        told_to_end()
    };
    runtime.spawn(async move {
        end.await;
        ends.store(true, Ordering::Relaxed);
    });
    let shown = live(&last, view, &url, &ended);
    runtime.shutdown_background();
    match shown {
        Ok(()) => Status::Fine,
        Err(error) => print::failed(&format!("the terminal cannot be used: {error}")),
    }
}

fn print_once(format: Format, told: &Value<'_>, view: View) {
    match format {
        Format::Json => print::line(&told.to_string()),
        Format::Text => print::text(&Told::of(told).plain(view)),
    }
}

/// Draws until a key or a signal ends it.
fn live(last: &Last, mut view: View, url: &str, ended: &AtomicBool) -> std::io::Result<()> {
    let _terminal = Terminal::take()?;
    let mut told = Told::default();
    let mut trouble = None;
    let mut drawn = (clock::now(), Vec::new());
    while !ended.load(Ordering::Relaxed) {
        match std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), Err(String::new()))
        {
            Ok(fresh) => (told, trouble) = (fresh, None),
            // Nothing new.
            Err(nothing) if nothing.is_empty() => {}
            Err(message) => trouble = Some(message),
        }
        let frame = told.frame(view, Terminal::size(), url, trouble.as_deref());
        // Once a second in any case: what another program wrote over it goes away.
        if frame != drawn.1 || drawn.0.elapsed() > Duration::from_secs(1) {
            Terminal::show(&frame)?;
            drawn = (clock::now(), frame);
        }
        for key in Terminal::keys()? {
            match key {
                b'q' | 3 => return Ok(()),
                b'j' => view.from = view.from.saturating_add(1).min(told.len().saturating_sub(1)),
                b'k' => view.from = view.from.saturating_sub(1),
                key => {
                    if let Some(sort) = Sort::of_key(key) {
                        view.is_reversed = sort == view.sort && !view.is_reversed;
                        (view.sort, view.from) = (sort, 0);
                    }
                }
            }
        }
    }
    Ok(())
}
