//! `error.type` for the errors of a service, whose type is unknown here.

use std::any::{Any, type_name};
use std::error::Error;
use std::io;

use telemark_http::Failure;

type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the failure that an error describes: for a boxed error, by its causes; otherwise, by the name of its type.
pub(crate) fn failure<E: 'static>(error: &E) -> Failure {
    let error: &dyn Any = error;
    if let Some(boxed) = error.downcast_ref::<BoxError>() {
        let error: &(dyn Error + 'static) = &**boxed;
        // spec: registry/attributes/error, error.type: the fallback
        return Failure::from_error(error, "_OTHER");
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Failure::from_error(error, type_name::<io::Error>());
    }
    Failure::new(type_name::<E>())
}
