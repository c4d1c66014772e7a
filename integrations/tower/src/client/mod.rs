//! The client side: a layer for any service that sends HTTP requests.

mod failure;
mod layer;
mod service;

pub use layer::HttpClientLayer;
pub use service::HttpClientService;
