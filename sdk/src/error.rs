//! The SDK's two error types: building returns [`ConfigError`], exporting returns [`ExportError`].

mod caught;
pub(crate) mod report;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

pub(crate) use caught::Contained;
#[doc(hidden)]
pub use caught::{Panicked, catch};

use crate::text::{self, Secrecy};

type Source = Box<dyn Error + Send + Sync>;

/// An invalid setting: its name, its value, and the accepted values.
pub struct ConfigError {
    setting: Cow<'static, str>,
    value: Option<String>,
    accepted: Cow<'static, str>,
    source: Option<Source>,
}

impl ConfigError {
    /// Creates an error for a value that is not accepted. `setting` is the name of a variable or an argument. The
    /// value is hidden if [`Secrecy::of`] indicates that a variable of this name may hold a secret.
    pub fn invalid(
        setting: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        accepted: impl Into<Cow<'static, str>>,
    ) -> Self {
        let setting = setting.into();
        let value = Secrecy::of(&setting).apply(value.into());
        ConfigError { setting, value: Some(value), accepted: accepted.into(), source: None }
    }

    /// Creates an error for a rejected value that may be a secret. Messages show `shown` instead of the value, such as the
    /// name of a header.
    pub fn redacted(
        setting: impl Into<Cow<'static, str>>,
        shown: impl Into<String>,
        accepted: impl Into<Cow<'static, str>>,
    ) -> Self {
        ConfigError { setting: setting.into(), value: Some(shown.into()), accepted: accepted.into(), source: None }
    }

    /// Creates an error for a setting that cannot be applied in the current state, such as a second `init`.
    pub fn state(setting: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        ConfigError { setting: setting.into(), value: None, accepted: problem.into(), source: None }
    }

    /// Adds the underlying error, such as a failure to read a file.
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns true if the error is about an unusable value, and false if the setting has no effect or cannot be applied now.
    pub(crate) fn has_value(&self) -> bool {
        self.value.is_some()
    }

    /// Returns the accepted values or the problem.
    pub(crate) fn accepted(&self) -> &str {
        &self.accepted
    }

    /// Returns the name of the variable or argument.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

/// Identical to `Display`, because `main` prints this text if it returns the error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => {
                let value = text::foreign(value);
                write!(f, "{}={value:?} cannot be used: expected {}", self.setting, self.accepted)?;
            }
            None => write!(f, "{}: {}", self.setting, self.accepted)?,
        }
        match &self.source {
            Some(source) => write!(f, " ({})", text::display(source)),
            None => Ok(()),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Maximum number of bytes shown of an [`ExportError`]'s message, which contains an address and text from the receiver.
const MAX_MESSAGE: usize = 2 * text::MAX_SHOWN;

/// The reason why a batch or a part of it was not delivered. The items are dropped, and any retries that the protocol
/// allows have been used up.
pub struct ExportError {
    kind: Kind,
    message: Cow<'static, str>,
    retries: u32,
    response: Option<ResponseStatus>,
    /// The number of items that failed, if the rest of the batch was delivered.
    items: Option<u64>,
    source: Option<Source>,
}

/// The status of a receiver's response to an export.
///
/// spec: semconv otel/sdk-metrics.md, `otel.sdk.exporter.operation.duration`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseStatus {
    /// Value of `http.response.status_code`.
    Http(u16),
    /// Value of `rpc.status_code`, such as `UNAVAILABLE`.
    Rpc(&'static str),
}

/// The variants are in the same order as [`ExportError::TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Timeout,
    Unavailable,
    Rejected,
    TooLarge,
    Shutdown,
    Other,
}

impl ExportError {
    /// Creates the error for a batch that was not delivered before the deadline.
    pub fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// Creates the error for a receiver that could not be reached, or that kept asking the client to retry later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Creates the error for a batch that the receiver rejected permanently.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Rejected, message)
    }

    /// Creates the error for a request or response that exceeded the size limit.
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// Creates the error for an exporter or processor that has already been shut down.
    pub fn shutdown() -> Self {
        Self::new(Kind::Shutdown, "already shut down")
    }

    /// Creates an error of any other kind, such as a file that cannot be written.
    pub fn other(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Other, message)
    }

    /// Returns the kind.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        ExportError { kind, message: message.into(), retries: 0, response: None, items: None, source: None }
    }

    /// Adds the underlying error.
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the number of retries.
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the status of the last response.
    pub fn with_response(mut self, status: ResponseStatus) -> Self {
        self.response = Some(status);
        self
    }

    /// Returns true if the deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Returns true if the receiver could not be reached, or kept asking the client to retry later.
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Returns true if the receiver rejected the batch permanently.
    pub fn is_rejected(&self) -> bool {
        self.kind == Kind::Rejected
    }

    /// Returns true if the request or the response was too large.
    pub fn is_too_large(&self) -> bool {
        self.kind == Kind::TooLarge
    }

    /// Returns true if the export was attempted after shutdown.
    pub fn is_shutdown(&self) -> bool {
        self.kind == Kind::Shutdown
    }

    /// Returns the number of retries before the batch was dropped.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Returns the status of the last response, or `None` if the last attempt got no response.
    pub fn response(&self) -> Option<ResponseStatus> {
        self.response
    }

    /// Returns the number of items that failed, or `None` if the whole batch did.
    pub(crate) fn items(&self) -> Option<u64> {
        self.items
    }

    /// All values of [`Self::error_type`].
    pub const TYPES: [&'static str; 6] =
        ["timeout", "unavailable", "rejected", "too_large", "already_shutdown", "_OTHER"];

    /// Returns a low-cardinality name for the `error.type` attribute, one of [`Self::TYPES`].
    pub fn error_type(&self) -> &'static str {
        Self::TYPES[self.type_index()]
    }

    /// Returns the index of the type in [`Self::TYPES`].
    pub(crate) fn type_index(&self) -> usize {
        self.kind as usize
    }
}

/// Identical to `Display`, because `main` prints this text if it returns the error.
impl fmt::Debug for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", text::display(&self.message).cut_at(MAX_MESSAGE))?;
        match self.retries {
            0 => {}
            1 => f.write_str(" after 1 retry")?,
            retries => write!(f, " after {retries} retries")?,
        }
        match &self.source {
            Some(source) => write!(f, ": {}", text::display(source)),
            None => Ok(()),
        }
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_error_names_the_variable_the_value_and_what_is_accepted() {
        let error = ConfigError::invalid("OTEL_TRACES_EXPORTER", "jaeger", "otlp, console or none");
        assert_eq!(
            error.to_string(),
            r#"OTEL_TRACES_EXPORTER="jaeger" cannot be used: expected otlp, console or none"#
        );
    }

    #[test]
    fn a_main_that_returns_an_error_prints_it_readably() {
        let error = ConfigError::state("init", "telemetry has been installed already");
        assert_eq!(format!("{error:?}"), "init: telemetry has been installed already");
        let error = ExportError::timeout("no response").with_retries(2).with_source(std::io::Error::other("refused"));
        assert_eq!(format!("{error:?}"), "no response after 2 retries: refused");
    }

    #[test]
    fn a_configuration_error_shows_no_secret_and_no_control_characters() {
        for (setting, value) in [
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer s3cret"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "-----BEGIN PRIVATE KEY-----s3cret"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:s3cret@host"),
            ("endpoint", "https://host/?api_key=s3cret"),
        ] {
            let error = ConfigError::invalid(setting, value, "something else");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        let error = ConfigError::invalid("OTEL_SERVICE_NAME", "a\x1b[2Jb".repeat(1000), "text")
            .with_source(std::io::Error::other("\r\x1b[2J".repeat(1000)));
        assert!(error.to_string().len() < 1200 && !error.to_string().contains(char::is_control), "{error}");
        let shown = ConfigError::redacted("OTEL_EXPORTER_OTLP_HEADERS", "authorization=…", "a header");
        assert_eq!(
            shown.to_string(),
            r#"OTEL_EXPORTER_OTLP_HEADERS="authorization=…" cannot be used: expected a header"#
        );
    }

    #[test]
    fn an_export_error_tells_its_kind_its_retries_and_its_source() {
        let error = ExportError::unavailable("no response from http://localhost:4318")
            .with_retries(3)
            .with_source(std::io::Error::other("refused"));
        assert_eq!(error.to_string(), "no response from http://localhost:4318 after 3 retries: refused");
        assert!(error.is_unavailable() && !error.is_timeout());
        let all = [
            ExportError::timeout(""),
            error,
            ExportError::rejected(""),
            ExportError::too_large(""),
            ExportError::shutdown(),
            ExportError::other(""),
        ];
        assert_eq!(all.each_ref().map(ExportError::error_type), ExportError::TYPES);
        let [_, error, ..] = all;
        assert!(Error::source(&error).is_some());
    }
}
