//! Redaction for Telemark: hides secrets and personal data in spans, log records, metrics and the resource before any exporter sees
//! them. Programs use it through the feature `redaction` of `telemark`, as `telemark::redaction`. It is off by default.
//!
//! By variable, with the names of presets:
//!
//! ```text
//! OTEL_RUST_REDACTION=email,payment_card,password
//! ```
//!
//! In code:
//!
//! ```
//! use telemark_redaction::{Action, Preset, Redaction, Rule};
//! use telemark_sdk::config::Env;
//! use telemark_sdk::install::Telemetry;
//!
//! let redaction = Redaction::new()
//!     .with_preset(Preset::EmailAddress)
//!     .with_rule(Rule::for_preset(Preset::PaymentCard).with_action(Action::Mask { keep_last: 4 }))
//!     .with_rule(Rule::for_keys(["user.name", "enduser.*"]).with_action(Action::Delete))
//!     .with_rule(Rule::for_values([r"\bACME-\d{6}\b"])?);
//! let builder = Telemetry::builder(Env::process()).with_redaction(redaction);
//! # drop(builder);
//! # Ok::<(), telemark_sdk::ConfigError>(())
//! ```
//!
//! In a configuration file, where rules go before presets:
//!
//! ```yaml
//! distribution:
//!   telemark:
//!     redaction:
//!       presets: [password, email, payment_card]
//!       hash_key: ${REDACTION_KEY}
//!       exempt_keys: [server.address]
//!       rules:
//!         - keys: [user.id, "enduser.*"]
//!           action: hash
//!         - values: ['\bACME-\d{6}\b']
//!           replacement: "[customer]"
//!         - preset: payment_card
//!           action: mask
//!           keep_last: 4
//! ```
//!
//! # What is redacted
//!
//! | signal | redacted | not redacted |
//! |---|---|---|
//! | spans | the name, the attributes with those of baggage and of the call site, events with their names and attributes, the attributes of links, the description of the status; so also the messages and stack traces of exceptions | ids, the trace state, keys |
//! | log records | the body and the attributes, at any depth of lists and maps, and bytes that are UTF-8, which a limit may have cut | the name of the event, the target, the severity, keys |
//! | metrics | the attributes of series and of exemplars | names, units, descriptions, the points of metric producers |
//! | all | the attributes of the resource and of scopes, once | names and versions of scopes |
//!
//! Processors that code adds run before the redaction. Stages that code adds, and all exporters, see what is left: OTLP, the console, the
//! viewer with its running spans, files and the pages of Prometheus. **Log lines on standard output** (`telemark::tracing::fmt`) pass
//! neither stages nor exporters and are not redacted.
//!
//! Only texts, and integers for [`Preset::PaymentCard`] and [`Rule::for_values`], are searched; an integer in which something is found
//! becomes a text. A rule for keys takes values of every type. Sets of metric attributes that become equal are one series.
//!
//! A limit on the length of values (`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`) applies after the redaction: values are recorded with 256
//! characters more, redacted, and then cut. A secret that the limit cuts is therefore found if at most 256 characters of it lie beyond.
//! Texts that the program or an integration has shortened itself are searched as they are, so the beginning of a secret at their end may
//! stay.
//!
//! # What the presets take and leave
//!
//! | preset | takes | also takes | leaves |
//! |---|---|---|---|
//! | `email` | `ann@example.com`, `ann%40example.com`, `jörg@bücher.example` | `git@github.com` | `ann@localhost`, `@ann`, `a@b.c` |
//! | `payment_card` | `4111111111111111`, `4111 1111 1111 1111`, `3782-822463-10005`, the integer 4111111111111111 | every tenth number of 16 digits that begins with 4, 5 or 6 | `4111111111111112` (check digit), `0.4111111111111111`, `4 1 1 1 …`, numbers that begin with 0, 1, 7 or 9, ids of 24 or more hexadecimal digits |
//! | `social_security_number` | `078-05-1120`, `078 05 1120` | part numbers such as `123-45-6789` | `078051120`, `078-05 1120`, `000-12-3456`, `666-12-3456`, `900-12-3456`, `123-00-4567`, `123-45-0000` |
//! | `bearer_token` | what follows in `Bearer dG9rZW4tMQ`, `Basic YW5uOnMzY3JldA==`, `bearer%20dG9rZW4tMQ`; `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln`; the value of `http.request.header.authorization` | `Bearer Certificates` | `bearer authentication`, `Basic access`, `Bearer x` |
//! | `password` | what follows in `postgres://ann:s3cret@db/shop`, `https://t0ken@host/`, `?access_token=abc`, `password=abc`, `"password": "abc"`, `secret: Some("abc")`, `user[password]=abc`, `password=["a","b"]`, `"secret": {"value":"x"}`, `secret: Secret { value: 1 }`, `?password=it's-me`, `amqp://ann:12/b@db`; the value of the attribute `db.password` | `git` in `ssh://git@host/`, `next_page_token=7`, what follows in `password: wrong` | `max_tokens=5`, `password=null`, `password::Error`, `password is abc`, `https%3A%2F%2Fann%3As3cret%40db`, `https://ann:12/3@host` |
//! | `ip_address` | `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80`, `::ffff:192.0.2.7` | the version `10.0.19.1`, `00:11:22:33:44:55:66:77` | `v10.0.19.1`, `1.2.3`, `1.2.3.4.5`, `127.0.0.1`, `::1`, `12:34:56`, `00:1a:2b:3c:4d:5e`, `abc::def` |
//!
//! What a preset takes is replaced by its name in brackets, such as `[email]`, and for `password` by `REDACTED`, as the conventions replace
//! credentials in URLs. The tests of the crate contain this table.
//!
//! # Cost and bounds
//!
//! Presets read a text once to see which of them may find something, and then in time proportional to its length; so do patterns, whose
//! number of matches in one text is bounded: from the 257th match of a pattern on, the rest of the text counts as one. Each
//! pattern and each preset lets a text grow by about 4 KiB; what it finds beyond that is removed. Spans and log records are redacted on the
//! threads of the stages, never on the program's.
//!
//! # Variables
//!
//! `OTEL_RUST_REDACTION`: a list of `email`, `payment_card`, `social_security_number`, `bearer_token`, `password` and `ip_address`. The
//! telemetry does not start with another name, because ignoring it would export what it is to hide.
//!
//! # Counts
//!
//! `health().redaction` has the number of values in which each rule has hidden something, and so does the metric
//! `telemark.sdk.redaction.hidden` if the SDK's own metrics are on. A count says how often, not how many different secrets: an observation
//! counts at each collection, and a list of metric attributes again when it is looked up again.
//!
//! # Metrics
//!
//! Sets of attributes that become equal are one series. Its attributes are those that are left, so `remove_series` redacts the attributes
//! that it is given: after a rule that replaces `tenant` by one text, removing the series of one tenant removes those of all tenants, which
//! are one. If a rule deletes one of the given attributes, nothing is removed. Observations of observable instruments are redacted at each
//! collection, on the collecting thread; those that become equal are added up or, in a gauge, the last one stays. A full stream redacts each
//! list that it does not know, because only then can it find the series of the list that is left.

mod action;
mod config;
mod pattern;
mod presets;
mod redaction;
mod rule;

pub use action::{Action, HashKey};
pub use config::from_config;
pub use presets::Preset;
pub use redaction::Redaction;
pub use rule::Rule;
