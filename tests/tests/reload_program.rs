//! A whole program that follows its configuration file: a mounted ConfigMap, SIGHUP, load, and children. The scenarios are in
//! `src/bin/scenario`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]
#![cfg(unix)]

mod program;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use program::Running;

/// A folder whose `telemark.yaml` is a link to a file in the version to which `..data` links.
struct ConfigMap(PathBuf);

impl ConfigMap {
    fn new(name: &str, text: &str) -> Self {
        let map =
            ConfigMap(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reload-{name}-{}", std::process::id())));
        drop(fs::remove_dir_all(&map.0));
        fs::create_dir_all(&map.0).unwrap();
        map.swap("first", text);
        symlink("..data/telemark.yaml", map.0.join("telemark.yaml")).unwrap();
        map
    }

    fn swap(&self, version: &str, text: &str) {
        let folder = self.0.join(format!("..{version}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("telemark.yaml"), text).unwrap();
        symlink(&folder, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }

    fn start(&self, scenario: &str, others: &[(&str, &str)]) -> Running {
        let path = self.0.join("telemark.yaml");
        Running::start(scenario, &[&[("OTEL_CONFIG_FILE", path.to_str().unwrap())], others].concat())
    }
}

impl Drop for ConfigMap {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn text(sampler: &str, level: &str) -> String {
    format!(
        "file_format: \"1.2\"\nlog_level: {level}\ntracer_provider: {{processors: [{{none: }}], sampler: {{{sampler}: }}}}\n"
    )
}

const END: &str = "child: true\nchild: same health: true\nchild: status 0\nshutdown: true, spans lost: 0\n";

#[test]
fn a_program_under_load_follows_a_mounted_config_map() {
    let map = ConfigMap::new("mounted", &text("always_off", "info"));
    let running = map.start("reloads", &[("OTEL_RUST_CONFIG_WATCH_INTERVAL", "20")]);
    running.await_line("0 applied, 0 refused, sampled false");
    map.swap("second", &text("always_on", "info"));
    running.await_line("1 applied, 0 refused, sampled true");
    map.swap("broken", &text("allways_on", "info"));
    running.await_line("1 applied, 1 refused, sampled true");
    map.swap("third", &text("always_off", "info"));
    running.await_line("2 applied, 1 refused, sampled false");
    map.swap("last", &text("always_on", "error"));
    let end = running.end();
    assert!(end.starts_with("exit 0\nready\n") && end.contains(END), "{end}");
    assert!(end.contains("the program's handler was called: false\n"), "{end}");
    let refused =
        "! telemark warning: the configuration file has changed, and everything stays as it was: configuration: ";
    assert!(end.contains(refused) && end.contains(" cannot be used, one problem; line 3, column "), "{end}");
    assert!(end.contains("is always_on meant?\n"), "{end}");
    assert!(
        end.contains(
            "! telemark info: the configuration file has changed; these values apply now: tracer_provider.sampler\n"
        ),
        "{end}"
    );
}

#[test]
fn sighup_asks_for_a_reload_and_the_handler_of_the_program_is_called_as_well() {
    for (scenario, is_called) in [("reloads", false), ("reloads with a handler", true)] {
        let map = ConfigMap::new(if is_called { "handler" } else { "signal" }, &text("always_on", "info"));
        let running = map.start(scenario, &[]);
        running.await_line("0 applied, 0 refused, sampled true");
        map.swap("second", &text("always_off", "info"));
        running.send("-HUP");
        running.await_line("1 applied, 0 refused, sampled false");
        map.swap("third", &text("always_on", "error"));
        running.send("-HUP");
        let end = running.end();
        assert!(end.starts_with("exit 0\nready\n") && end.contains(END), "{end}");
        assert!(end.contains(&format!("the program's handler was called: {is_called}\n")), "{end}");
    }
}

#[test]
fn sighup_without_a_file_ends_nothing() {
    let running = Running::start("hangs up", &[]);
    running.await_line("goes on");
    program::await_condition("the message", || {
        running.read("errors").contains("SIGHUP: there is no configuration file to read again")
    });
    running.send("-TERM");
    let end = running.end();
    assert!(end.starts_with("signal 15\ngoes on\n"), "{end}");
}
