//! The settings of a viewer: where it listens, how much it holds, and its token.

use std::net::TcpListener;

use telemark_sdk::ConfigError;
use telemark_sdk::config::Env;
use telemark_serve::BindError;

use super::parse_origin;

const ADDRESS: &str = "OTEL_RUST_VIEWER_ADDRESS";
const MAX_MEMORY: &str = "OTEL_RUST_VIEWER_MAX_MEMORY";
const TOKEN: &str = "OTEL_RUST_VIEWER_TOKEN";
const ALLOWED_ORIGINS: &str = "OTEL_RUST_VIEWER_ALLOWED_ORIGINS";

/// The port of a viewer, unless another program has taken it.
const PORT: u16 = 4380;
/// The default of the memory that a store may take.
const MAX_BYTES: usize = 256 << 20;
/// The least memory with which a viewer is of use.
const MIN_BYTES: usize = 1 << 20;

/// The settings of a viewer.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The host and the port to listen on, or `None` for port 4380 of `localhost`, or a free port if it is taken.
    pub address: Option<String>,
    /// The maximum number of bytes that the store holds.
    pub max_memory: usize,
    /// The token that a page must know, which an address other than a loopback address requires.
    pub token: Option<String>,
    /// The origins of web pages that may send telemetry to a receiver, as [`parse_origin`] returns them.
    pub allowed_origins: Vec<String>,
}

/// Leaves out the token.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("max_memory", &self.max_memory)
            .field("allowed_origins", &self.allowed_origins)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    /// Returns the settings of a viewer on the local machine that holds up to 256 MiB.
    fn default() -> Self {
        Settings { address: None, max_memory: MAX_BYTES, token: None, allowed_origins: Vec::new() }
    }
}

impl Settings {
    /// Reads `OTEL_RUST_VIEWER_ADDRESS`, `OTEL_RUST_VIEWER_MAX_MEMORY`, `OTEL_RUST_VIEWER_TOKEN` and
    /// `OTEL_RUST_VIEWER_ALLOWED_ORIGINS`.
    pub fn from_env(env: &Env) -> Self {
        let defaults = Settings::default();
        let bytes = env.parse(MAX_MEMORY, |text| parse_bytes(text).ok_or_else(|| "a size such as 256MiB".to_owned()));
        let origins = env.parse(ALLOWED_ORIGINS, |text| {
            let list = text.split(',').filter(|origin| !origin.trim().is_empty()).map(parse_origin);
            list.collect::<Option<Vec<_>>>().ok_or_else(|| "a list of origins such as https://shop.example".to_owned())
        });
        Settings {
            address: env.string(ADDRESS),
            max_memory: bytes.unwrap_or(defaults.max_memory),
            token: env.string(TOKEN),
            allowed_origins: origins.unwrap_or_default(),
        }
    }

    /// Listens on the address.
    ///
    /// # Errors
    /// Fails if the address is not `host:port`, or cannot be listened on.
    pub fn bind(&self) -> Result<TcpListener, ConfigError> {
        let Some(address) = &self.address else {
            return match telemark_serve::bind("localhost", PORT) {
                Err(BindError::Port(_)) => telemark_serve::bind("localhost", 0),
                bound => bound,
            }
            .map_err(|error| unusable("localhost").with_source(error));
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(|| unusable(address))?;
        let port = port.parse().map_err(|_| unusable(address))?;
        telemark_serve::bind(host, port).map_err(|error| unusable(address).with_source(error))
    }
}

fn unusable(address: &str) -> ConfigError {
    ConfigError::invalid(ADDRESS, address, "host:port, where the port is free, or 0 for any")
}

/// Parses a number of bytes, such as `256MiB`. Units are `B`, `KiB`, `MiB` and `GiB`; a number without a unit is in bytes. The
/// minimum is 1 MiB.
///
/// ```
/// use telemark_viewer::parse_bytes;
///
/// assert_eq!(parse_bytes("256MiB"), Some(256 << 20));
/// assert_eq!(parse_bytes("2 GiB"), Some(2 << 30));
/// assert_eq!(parse_bytes("12 parsecs"), None);
/// ```
pub fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kib" | "k" => 10,
        "mib" | "m" => 20,
        "gib" | "g" => 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes >= MIN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<usize>| assert_eq!(parse_bytes(text), expected, "{text:?}");
        check("1048576", Some(1 << 20));
        check("64MiB", Some(64 << 20));
        check(" 1 gib ", Some(1 << 30));
        check("2048K", Some(2 << 20));
        for text in ["", "MiB", "1", "-1MiB", "1.5MiB", "1TB", "99999999999999999999GiB", "18446744073709551615GiB"] {
            check(text, None);
        }
    }

    #[test]
    fn settings_come_from_variables_and_invalid_ones_are_reported() {
        let origins = "https://shop.example/, http://localhost:3000";
        let variables = [(ADDRESS, "127.0.0.1:0"), (MAX_MEMORY, "8MiB"), (TOKEN, "secret"), (ALLOWED_ORIGINS, origins)];
        let env = Env::from_pairs(variables);
        let settings = Settings::from_env(&env);
        let expected = Settings {
            address: Some("127.0.0.1:0".to_owned()),
            max_memory: 8 << 20,
            token: Some("secret".to_owned()),
            allowed_origins: vec!["https://shop.example".to_owned(), "http://localhost:3000".to_owned()],
        };
        assert_eq!(settings, expected);
        assert!(settings.bind().unwrap().local_addr().unwrap().ip().is_loopback());
        assert!(!format!("{settings:?}").contains("secret"));

        let env = Env::from_pairs([(MAX_MEMORY, "plenty"), (ALLOWED_ORIGINS, "https://shop.example, *")]);
        assert_eq!(Settings::from_env(&env), Settings::default());
        assert_eq!(env.take_warnings().len(), 2);
    }

    #[test]
    fn an_address_that_cannot_be_used_is_an_error() {
        let taken = telemark_serve::bind("127.0.0.1", 0).unwrap();
        for address in [&*taken.local_addr().unwrap().to_string(), "localhost", "localhost:many", "192.0.2.1:0"] {
            let settings = Settings { address: Some(address.to_owned()), ..Settings::default() };
            let error = settings.bind().unwrap_err();
            assert_eq!(error.setting(), ADDRESS);
        }
    }

    #[test]
    fn without_an_address_a_taken_port_is_replaced() {
        let settings = Settings::default();
        let (first, second) = (settings.bind().unwrap(), settings.bind().unwrap());
        assert_ne!(first.local_addr().unwrap(), second.local_addr().unwrap());
    }
}
