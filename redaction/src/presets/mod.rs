//! The presets: what each finds, in time proportional to the length of the text.
//!
//! | file | finds |
//! |---|---|
//! | `email` | e-mail addresses |
//! | `card` | payment cards |
//! | `ssn` | social security numbers of the United States |
//! | `bearer` | tokens of HTTP authorization |
//! | `password` | passwords in URLs, queries and assignments |
//! | `ip` | IP addresses |
//! | `digits` | groups of digits, which cards and social security numbers consist of |
//! | `classes` | a look at a text that tells which presets may find something |

mod bearer;
mod card;
pub(crate) mod classes;
mod digits;
mod email;
mod ip;
mod password;
mod ssn;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use telemark_sdk::ConfigError;

use self::classes::Classes;

/// A kind of value that is hidden wherever it occurs in a text. The documentation of the crate has a table of what each preset takes and
/// leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// E-mail addresses: `email`.
    EmailAddress,
    /// Numbers of payment cards, with a correct check digit: `payment_card`.
    PaymentCard,
    /// Social security numbers of the United States: `social_security_number`.
    SocialSecurityNumber,
    /// Tokens and passwords of HTTP authorization, and JSON web tokens: `bearer_token`.
    BearerToken,
    /// Passwords and other secrets in URLs, queries and assignments, and the values of attributes with such names: `password`.
    Password,
    /// IPv4 and IPv6 addresses: `ip_address`.
    IpAddress,
}

impl Preset {
    /// Every preset, in the order in which they are best applied: what is within a URL comes before what looks like an address.
    pub const ALL: [Preset; 6] = [
        Preset::Password,
        Preset::BearerToken,
        Preset::EmailAddress,
        Preset::PaymentCard,
        Preset::SocialSecurityNumber,
        Preset::IpAddress,
    ];

    /// Returns the name in `OTEL_RUST_REDACTION` and in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::EmailAddress => "email",
            Preset::PaymentCard => "payment_card",
            Preset::SocialSecurityNumber => "social_security_number",
            Preset::BearerToken => "bearer_token",
            Preset::Password => "password",
            Preset::IpAddress => "ip_address",
        }
    }

    /// Returns the text that replaces a value by default.
    pub const fn replacement(self) -> &'static str {
        match self {
            Preset::EmailAddress => "[email]",
            Preset::PaymentCard => "[payment_card]",
            Preset::SocialSecurityNumber => "[social_security_number]",
            Preset::BearerToken => "[bearer_token]",
            // spec: semconv registry/attributes/url.md — credentials in a URL; brackets would have to be escaped there.
            Preset::Password => password::REDACTED,
            Preset::IpAddress => "[ip_address]",
        }
    }

    /// Returns the first value in the text that ends after `from`. What lies before `from` has been searched already.
    pub(crate) fn find(self, text: &str, from: usize) -> Option<Range<usize>> {
        match self {
            Preset::EmailAddress => email::find(text, from),
            Preset::PaymentCard => card::find(text, from),
            Preset::SocialSecurityNumber => ssn::find(text, from),
            Preset::BearerToken => bearer::find(text, from),
            Preset::Password => password::find(text, from),
            Preset::IpAddress => ip::find(text, from),
        }
    }

    /// Returns false if a text with these classes of characters, of this length, contains no value.
    #[inline]
    pub(crate) fn may_be_in(self, classes: Classes, length: usize) -> bool {
        let (needed, min) = match self {
            Preset::EmailAddress => (Classes::AT, 6),
            Preset::PaymentCard => (Classes::DIGIT, 12),
            Preset::SocialSecurityNumber => (Classes::DIGIT, 11),
            Preset::BearerToken => (Classes::TOKEN, 12),
            Preset::Password => (Classes::ASSIGNMENT, 3),
            Preset::IpAddress => (Classes::DIGIT, 4),
        };
        classes.has(needed) && length >= min
    }

    /// Returns true if the whole value of an attribute with this key is a secret, whatever it is.
    pub(crate) fn takes_key(self, key: &str) -> bool {
        match self {
            Preset::Password => password::is_secret_name(key.as_bytes()),
            Preset::BearerToken => bearer::is_header(key),
            _ => false,
        }
    }

    /// Returns true if keys of attributes matter to this preset.
    pub(crate) const fn reads_keys(self) -> bool {
        matches!(self, Preset::Password | Preset::BearerToken)
    }

    /// Returns true if an integer may be such a value.
    pub(crate) const fn may_be_integer(self) -> bool {
        matches!(self, Preset::PaymentCard)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let found = Preset::ALL.into_iter().find(|preset| preset.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| ConfigError::invalid("preset", name, accepted()))
    }
}

/// Describes the names of presets.
pub(crate) fn accepted() -> String {
    let names: Vec<_> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    format!("one of {}", names.join(", "))
}
