//! The program: receives OTLP from other programs, opens and saves files, and shows everything on a page.

mod arguments;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arguments::{Arguments, HELP, Parsed};
use telemark_viewer::{Limits, Receiver, Store, Viewer};

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Help) => say(HELP),
        Ok(Parsed::Version) => say(concat!("telemark-viewer ", env!("CARGO_PKG_VERSION"))),
        Ok(Parsed::Run(arguments)) => match run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&*error),
        },
        Err(error) => fail(&error),
    }
}

/// Writes a line to standard output. A reader that has gone away is no failure.
fn say(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn fail(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let _ = writeln!(std::io::stderr(), "telemark-viewer: {text}");
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let store = Store::new(Limits::default().with_bytes(arguments.settings.max_memory));
    for path in &arguments.open {
        let opened = telemark_viewer::open(path, &store).map_err(|error| format!("{}: {error}", path.display()))?;
        say(&format!(
            "opened {}: {} lines, {} malformed, {} items refused",
            path.display(),
            opened.lines,
            opened.malformed,
            opened.refused
        ));
    }
    let receiver = Receiver::new(store.clone())?.with_allowed_origins(arguments.settings.allowed_origins.clone());
    let mut viewer = Viewer::builder(store.clone());
    if let Some(token) = &arguments.settings.token {
        viewer = viewer.with_token(token);
    }
    for (protocol, address) in &arguments.receivers {
        let listener = TcpListener::bind(address).map_err(|error| format!("cannot receive at {address}: {error}"))?;
        let address = receiver.listen(listener)?;
        say(&format!("receiving {protocol} at {address}"));
        viewer = viewer.with_receiver(protocol, address);
    }
    let viewer = viewer.start(arguments.settings.bind()?)?;
    say(&format!("the viewer is at {}", viewer.link()));
    wait_for_the_end()?;
    drop(receiver);
    drop(viewer);
    match &arguments.save {
        Some(path) => save(&store, path).map_err(|error| format!("{}: {error}", path.display()).into()),
        None => Ok(()),
    }
}

/// Waits for Ctrl-C or a request to terminate.
fn wait_for_the_end() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};

            let mut terminated = signal(SignalKind::terminate())?;
            tokio::select! {
                ended = tokio::signal::ctrl_c() => ended,
                _ = terminated.recv() => Ok(()),
            }
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await
    })
}

/// Saves the store. Replaces the file only once everything has been written.
fn save(store: &Arc<Store>, path: &Path) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut writer = BufWriter::new(File::create(&unfinished)?);
    telemark_viewer::save(store, &mut writer)?;
    writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    say(&format!("saved {}", path.display()));
    Ok(())
}
