//! A gRPC service whose messages tell it what to do, without generated code, and its client.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

/// A message: what the service does with it.
pub type Text = String;

#[derive(Clone, Copy, Debug, Default)]
pub struct TextCodec;

impl Codec for TextCodec {
    type Encode = Text;
    type Decode = Text;
    type Encoder = TextCodec;
    type Decoder = TextCodec;

    fn encoder(&mut self) -> TextCodec {
        TextCodec
    }

    fn decoder(&mut self) -> TextCodec {
        TextCodec
    }
}

impl Encoder for TextCodec {
    type Item = Text;
    type Error = Status;

    fn encode(&mut self, text: Text, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for TextCodec {
    type Item = Text;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Text>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::internal("not text"))
    }
}

/// The service `test.Echo`. A message is returned, except for these:
///
/// - `fail CODE MESSAGE` fails with this status
/// - `hang` never returns
/// - `panic` panics
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

async fn obey(message: Text) -> Result<Text, Status> {
    let mut words = message.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("fail"), Some(code), text) => {
            Err(Status::new(Code::from_bytes(code.as_bytes()), text.unwrap_or_default()))
        }
        (Some("hang"), ..) => std::future::pending().await,
        (Some("panic"), ..) => std::panic::resume_unwind(Box::new("on purpose")),
        _ => Ok(message),
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// Obeys each message of the stream.
fn obeyed(messages: impl Stream<Item = Result<Text, Status>> + Send + 'static) -> Messages {
    Box::pin(messages.then(|message| async { obey(message?).await }))
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(TextCodec);
        Box::pin(async move {
            let response = match request.uri().path() {
                "/test.Echo/Unary" => {
                    let unary = tower::service_fn(async |request: Request<Text>| {
                        let mut response = Response::new(obey(request.into_inner()).await?);
                        response.metadata_mut().insert("x-reply", "from the server".parse().unwrap());
                        Ok(response)
                    });
                    grpc.unary(Boxed(unary), request).await
                }
                "/test.Echo/ServerStream" => {
                    // Each line is a message.
                    let lines = async |request: Request<Text>| {
                        let lines: Vec<_> = request.get_ref().lines().map(|line| Ok(line.to_owned())).collect();
                        Ok(Response::new(obeyed(stream::iter(lines))))
                    };
                    grpc.server_streaming(Boxed(tower::service_fn(lines)), request).await
                }
                "/test.Echo/ClientStream" => {
                    let joined = async |request: Request<Streaming<Text>>| {
                        let mut messages = obeyed(request.into_inner());
                        let mut joined = Vec::new();
                        while let Some(message) = messages.next().await {
                            joined.push(message?);
                        }
                        Ok(Response::new(joined.join(" ")))
                    };
                    grpc.client_streaming(Boxed(tower::service_fn(joined)), request).await
                }
                "/test.Echo/Bidi" => {
                    let echo =
                        async |request: Request<Streaming<Text>>| Ok(Response::new(obeyed(request.into_inner())));
                    grpc.streaming(Boxed(tower::service_fn(echo)), request).await
                }
                // As generated code does.
                _ => {
                    let mut response = http::Response::new(Body::default());
                    response.headers_mut().insert("grpc-status", "12".parse().unwrap());
                    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                    response
                }
            };
            Ok(response)
        })
    }
}

/// A service whose future is boxed, because tonic needs it to be `Send`.
#[derive(Clone)]
struct Boxed<S>(S);

impl<S, R> Service<R> for Boxed<S>
where
    S: Service<R, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Box::pin(self.0.call(request))
    }
}

/// A server on loopback. It stops when it is dropped.
pub struct Running {
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// Starts the server that `serve` returns a future of.
    pub async fn start<F>(serve: impl FnOnce(TcpIncoming, Pin<Box<dyn Future<Output = ()> + Send>>) -> F) -> Self
    where
        F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = Box::pin(async {
            let _ = stopped.await;
        });
        tokio::spawn(serve(TcpIncoming::from(listener), stopped));
        Running { address, _stop: stop }
    }

    pub fn target(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Starts a server.
#[macro_export]
macro_rules! running {
    ($router:expr) => {
        support_echo::Running::start(|incoming, stopped| {
            let router = $router;
            async move { router.serve_with_incoming_shutdown(incoming, stopped).await }
        })
        .await
    };
}

pub fn path(method: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(method)
}

/// The client of [`Echo`] over any channel.
pub struct EchoClient<S>(pub tonic::client::Grpc<S>);

impl<S> EchoClient<S>
where
    S: GrpcService<Body>,
    S::ResponseBody:
        http_body::Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    pub fn new(channel: S) -> Self {
        EchoClient(tonic::client::Grpc::new(channel))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::from_error(error.into()))
    }

    pub async fn unary(&mut self, text: &str) -> Result<Text, Status> {
        self.call("/test.Echo/Unary", Request::new(text.to_owned())).await
    }

    pub async fn within(&mut self, timeout: Duration, text: &str) -> Result<Text, Status> {
        let mut request = Request::new(text.to_owned());
        request.set_timeout(timeout);
        self.call("/test.Echo/Unary", request).await
    }

    pub async fn call(&mut self, method: &'static str, request: Request<Text>) -> Result<Text, Status> {
        self.ready().await?;
        self.0.unary(request, path(method), TextCodec).await.map(Response::into_inner)
    }

    pub async fn server_stream(&mut self, text: &str) -> Result<Streaming<Text>, Status> {
        self.ready().await?;
        let request = Request::new(text.to_owned());
        self.0.server_streaming(request, path("/test.Echo/ServerStream"), TextCodec).await.map(Response::into_inner)
    }

    pub async fn client_stream(&mut self, texts: &[&str]) -> Result<Text, Status> {
        self.ready().await?;
        let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
        let request = Request::new(stream::iter(texts));
        self.0.client_streaming(request, path("/test.Echo/ClientStream"), TextCodec).await.map(Response::into_inner)
    }

    pub async fn bidi(&mut self, texts: impl Stream<Item = Text> + Send + 'static) -> Result<Streaming<Text>, Status> {
        self.ready().await?;
        self.0.streaming(Request::new(texts), path("/test.Echo/Bidi"), TextCodec).await.map(Response::into_inner)
    }
}

/// Returns the messages of a stream, and its status.
pub async fn drained(mut messages: Streaming<Text>) -> (Vec<Text>, Result<(), Status>) {
    let mut texts = Vec::new();
    loop {
        match messages.message().await {
            Ok(Some(text)) => texts.push(text),
            Ok(None) => return (texts, Ok(())),
            Err(status) => return (texts, Err(status)),
        }
    }
}
