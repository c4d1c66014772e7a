//! HTTP proxies: the one that leads to the endpoint, and its credentials.
//!
//! | module | owns |
//! |---|---|
//! | `address` | the address of a proxy, and the credentials in it |
//! | `bypass` | `NO_PROXY`: the hosts that are reached directly |
//! | `choice` | the setting or the variable that decides |
//!
//! `transport::tunnel` speaks with the proxy.

mod address;
mod bypass;
mod choice;

pub(crate) use address::Proxy;
pub(crate) use choice::{ProxySetting, ProxyVariables, choose};
