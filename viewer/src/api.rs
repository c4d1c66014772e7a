//! TEMPORARY local stand-in.
use crate::store::Store;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
/// x
#[derive(Debug)]
pub struct Viewer(telemark_serve::Server);
/// x
#[derive(Debug)]
pub struct ViewerBuilder;
impl Viewer {
    /// x
    pub fn builder(_: Arc<Store>) -> ViewerBuilder {
        ViewerBuilder
    }
    /// x
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
    /// x
    pub fn link(&self) -> String {
        format!("http://{}/", self.0.address())
    }
}
impl ViewerBuilder {
    /// x
    pub fn with_token(self, _: impl Into<String>) -> Self {
        self
    }
    /// x
    pub fn with_receiver(self, _: &'static str, _: impl ToString) -> Self {
        self
    }
    /// x
    pub fn in_process(self, _: bool) -> Self {
        self
    }
    /// x
    pub fn start(self, listener: TcpListener) -> Result<Viewer, telemark_sdk::ConfigError> {
        telemark_serve::Server::builder("telemark-viewer", |_: &_| telemark_serve::http::Response::new(Vec::new()))
            .start(listener)
            .map(Viewer)
    }
}
