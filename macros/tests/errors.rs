//! Errors in `#[traced]`, in its metric and in the manual API.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::error::Error;
use std::fmt;
use std::io;

use anyhow::Context as _;
use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt};
use support::{check, check_async};
use telemark::{ErrorType, traced};
use telemark_sdk::testing::TestTelemetry;

#[derive(Debug)]
enum Store {
    NotFound { id: u32 },
    Unreachable(io::Error),
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Store::NotFound { id } => write!(f, "no cart {id}"),
            Store::Unreachable(_) => f.write_str("error sending request"),
        }
    }
}

impl Error for Store {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Store::NotFound { .. } => None,
            Store::Unreachable(cause) => Some(cause),
        }
    }
}

fn refused() -> Store {
    Store::Unreachable(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"))
}

#[traced(metrics)]
fn store(error: Store) -> Result<(), Store> {
    Err(error)
}

#[traced(metrics)]
fn context(error: Store) -> anyhow::Result<()> {
    store(error).context("charging the card").context("checkout")
}

#[traced]
fn message() -> anyhow::Result<()> {
    anyhow::bail!("cart {} is empty", 7)
}

#[traced]
fn boxed(error: Store) -> Result<(), Box<dyn Error>> {
    Err(error.into())
}

#[traced]
async fn shared(error: Store) -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(error.into())
}

#[test]
fn the_description_has_the_causes_and_the_type_has_the_variant() {
    check(
        || _ = store(refused()),
        "store error[error sending request: connection refused] error.type=errors::Store::Unreachable",
    );
    check(|| _ = store(Store::NotFound { id: 7 }), "store error[no cart 7] error.type=errors::Store::NotFound");
}

#[test]
fn an_error_of_a_hidden_type_is_recorded() {
    check(
        || _ = context(refused()),
        "
        context error[checkout: charging the card: error sending request: connection refused] error.type=Unreachable
          store error[error sending request: connection refused] error.type=errors::Store::Unreachable
        ",
    );
    check(|| _ = message(), "message error[cart 7 is empty] error.type=_OTHER");
    check(|| _ = boxed(refused()), "boxed error[error sending request: connection refused] error.type=Unreachable");
    check_async(
        async { _ = shared(refused()).await },
        "shared error[error sending request: connection refused] error.type=Unreachable",
    );
}

struct Refused(u16);

impl ErrorType for Refused {
    fn error_type(&self) -> &'static str {
        match self.0 {
            404 => "not_found",
            402 => "payment_required",
            _ => panic!("in error_type"),
        }
    }
}

#[traced(metrics)]
fn named(status: u16) -> Result<(), Refused> {
    Err(Refused(status))
}

#[test]
fn an_error_may_name_itself_and_a_panic_there_is_contained() {
    check(|| _ = named(404), "named error error.type=not_found");
    check(|| _ = named(402), "named error error.type=payment_required");
    check(|| _ = named(0), "named error error.type=errors::Refused");
}

#[test]
fn the_variants_of_an_enum_are_series_of_their_own() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        for error in [refused(), refused(), Store::NotFound { id: 1 }, Store::NotFound { id: 2 }] {
            _ = store(error);
        }
        _ = named(404);
        _ = context(refused());
    }
    let metrics = telemetry.metrics();
    let counts = |error_type: &str| metrics.matches(&format!("error.type={error_type}}}")).count();
    for error_type in ["errors::Store::Unreachable", "errors::Store::NotFound", "not_found", "Unreachable"] {
        assert_eq!(counts(error_type), 1, "{error_type} in {metrics}");
    }
}

#[traced]
fn says_its_type(error: Store) -> Result<(), Store> {
    telemark::set_attribute("error.type", "card_declined");
    Err(error)
}

#[traced]
fn says_its_status(error: Store) -> Result<(), Store> {
    Context::current().span().set_status(Status::error("declined"));
    Err(error)
}

#[traced]
fn says_that_all_is_well(error: Store) -> Result<(), Store> {
    Context::current().span().set_status(Status::Ok);
    Err(error)
}

#[traced]
fn records_another(error: Store) -> Result<(), Store> {
    telemark::record_error(&io::Error::from(io::ErrorKind::TimedOut));
    telemark::record_error(&io::Error::from(io::ErrorKind::BrokenPipe));
    Err(error)
}

#[traced]
fn records_one_of_its_own_type() {
    telemark::set_attribute("error.type", "card_declined");
    telemark::record_error("declined");
    telemark::record_error("declined for good");
}

#[test]
fn an_error_that_the_function_itself_sets_stays() {
    let lost = Store::NotFound { id: 1 };
    check(|| _ = says_its_type(lost), "says_its_type error[no cart 1] error.type=card_declined");
    check(
        || _ = says_its_status(Store::NotFound { id: 1 }),
        "says_its_status error[declined] error.type=errors::Store::NotFound",
    );
    check(|| _ = says_that_all_is_well(Store::NotFound { id: 1 }), "says_that_all_is_well ok");
    check(
        || _ = records_another(Store::NotFound { id: 1 }),
        "records_another error[broken pipe] error.type=std::io::ErrorKind::BrokenPipe",
    );
    check(records_one_of_its_own_type, "records_one_of_its_own_type error[declined for good] error.type=card_declined");
}
