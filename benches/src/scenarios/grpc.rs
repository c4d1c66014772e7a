//! The cost that the client layer and the server layer add to a gRPC call.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service};
use tonic::{Request as Message, Response as Reply, Status};
use tonic_tracing_opentelemetry::middleware::{client, server};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt};

use super::{Layout, Run, Scenario};
use crate::Failure;
use crate::load::{Bursts, Load, Pause};
use crate::meters::{self, Recorded};
use crate::reading::{PRODUCED, Reading};
use crate::subjects::{self, Settings, Subject};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "grpc",
    about: "CPU time that a client layer and a server layer add to a unary gRPC call, both exported spans included: tonic's \
            client calls tonic's server in process, with a pause after each 100 calls, less the same calls without layers, in \
            turns. `metrics`: the durations on both sides are recorded too. `by hand`: two spans with five attributes each, \
            without a layer.",
    subjects: &[TELEMARK, TELEMARK_METRICS, SDK, TOWER_OTEL, TONIC_TRACING],
    regimes: &[SPINNING, SLEEPING],
    layout: Layout::RowPerRegime(&[(TELEMARK, SDK), (TELEMARK, TOWER_OTEL), (TELEMARK_METRICS, TONIC_TRACING)]),
    reference: TELEMARK,
    measure,
};

const TELEMARK: &str = "telemark::tonic";
const TELEMARK_METRICS: &str = "telemark::tonic, metrics";
const SDK: &str = "opentelemetry_sdk, by hand";
const TOWER_OTEL: &str = "tower-otel";
const TONIC_TRACING: &str = "tonic-tracing-opentelemetry";

const SPINNING: &str = "4 ms of spinning";
const SLEEPING: &str = "4 ms of sleeping";

/// The number of calls per burst.
const CALLS: u64 = 100;
/// The bursts in one turn. Each chain gets every second turn.
const BURSTS: Bursts = Bursts { warm_up: 5, measured: 50 };
const TURNS: u64 = 4;

fn measure(run: &Run<'_>) -> Result<Vec<Reading>, Failure> {
    let pause = match run.regime {
        SPINNING => Pause::Spin(Duration::from_millis(4)),
        SLEEPING => Pause::Sleep(Duration::from_millis(4)),
        other => return Err(format!("unknown regime {other:?}").into()),
    };
    let (load, bursts) = (Load { producers: 1, pause }, run.shortened(BURSTS));
    let Layered { pipeline, chain: layered, metrics } = layered(run.subject, run.endpoint)?;
    let bare = boxed(Echo);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let turn = |chain: &Chain| -> Result<f64, Failure> {
        let burst = || {
            // A clone for each burst, because a boxed service cannot be shared.
            let chain = chain.lock().expect("no burst panics").clone();
            runtime.block_on(async {
                let mut grpc = Grpc::new(chain);
                for _ in 0..CALLS {
                    call(&mut grpc).await;
                }
            });
        };
        Ok(load.run(bursts, burst, || pipeline.flush())?.process)
    };
    let (mut without, mut with) = (0.0, 0.0);
    let (bare, layered) = (Chain::new(bare), Chain::new(layered));
    for _ in 0..TURNS {
        without += turn(&bare)?;
        with += turn(&layered)?;
    }
    if let Some((expected, recorded)) = metrics {
        let recorded = recorded();
        if recorded != expected {
            return Err(format!("{} has recorded {recorded} metrics instead of {expected}", run.subject).into());
        }
    }
    let calls = (TURNS * bursts.measured * CALLS) as f64;
    let spans = 2.0 * (TURNS * (bursts.warm_up + bursts.measured) * CALLS) as f64;
    Ok(vec![
        Reading::new("added, ns/call", (with - without) / calls),
        Reading::new("call without layers, ns/call", without / calls),
        Reading::new(PRODUCED, spans),
    ])
}

type Channel = BoxCloneService<Request<Body>, Response<Body>, Failure>;
type Chain = Mutex<Channel>;

struct Layered {
    pipeline: Box<dyn Subject>,
    chain: Channel,
    /// The expected number of metrics and a function that returns the actual one, if any metrics are recorded.
    metrics: Option<(usize, Recorded)>,
}

fn layered(name: &str, endpoint: &str) -> Result<Layered, Failure> {
    let telemark = || subjects::install(subjects::TRACED, endpoint, Settings::default());
    let sdk = || subjects::install(subjects::SDK, endpoint, Settings::default());
    let bridge = || subjects::install(subjects::BRIDGE, endpoint, Settings::default());
    let target = "http://shop.example.com:50051";
    let (pipeline, chain, metrics) = match name {
        TELEMARK | TELEMARK_METRICS => {
            let metrics = (name == TELEMARK_METRICS).then(|| (2, meters::make_telemark_global()));
            let (client, server) = (telemark::tonic::client_layer(target), telemark::tonic::server_layer());
            (telemark()?, boxed(client.layer(server.layer(Echo))), metrics)
        }
        SDK => (sdk()?, boxed(ByHand(SpanKind::Client, ByHand(SpanKind::Server, Echo))), None),
        TOWER_OTEL => {
            let level = tracing::Level::INFO;
            let (client, server) =
                (tower_otel::trace::GrpcLayer::client(level), tower_otel::trace::GrpcLayer::server(level));
            (bridge()?, boxed(client.layer(server.layer(Echo))), None)
        }
        TONIC_TRACING => {
            let (client, server) = (client::OtelGrpcLayer, server::OtelGrpcLayer::default());
            (bridge()?, boxed(client.layer(server.layer(Echo))), None)
        }
        other => return Err(format!("unknown subject {other:?}").into()),
    };
    Ok(Layered { pipeline, chain, metrics })
}

/// Boxes every chain alike, so that they have one type.
fn boxed<S, B>(service: S) -> Channel
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<Failure>, Future: Send> + Clone + Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    BoxCloneService::new(
        service
            .map_response(|response: Response<B>| response.map(Body::new))
            .map_err(|error: S::Error| -> Failure { error.into() }),
    )
}

async fn call(grpc: &mut Grpc<Channel>) {
    grpc.ready().await.expect("the service is ready");
    let path = PathAndQuery::from_static("/shop.Shop/Order");
    let reply = grpc.unary(Message::new("a cup of coffee".to_owned()), path, Text).await;
    black_box(reply.expect("the call succeeds"));
}

/// The service, as tonic's generated code calls it.
#[derive(Clone, Copy)]
struct Echo;

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let order = tower::service_fn(|order: Message<String>| {
            std::future::ready(Ok::<_, Status>(Reply::new(order.into_inner())))
        });
        Box::pin(async move { Ok(tonic::server::Grpc::new(Text).unary(order, request).await) })
    }
}

/// A service with a span of the API around each call.
#[derive(Clone)]
struct ByHand<S>(SpanKind, S);

impl<S> Service<Request<Body>> for ByHand<S>
where
    S: Service<Request<Body>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        static TRACER: OnceLock<BoxedTracer> = OnceLock::new();
        let tracer = TRACER.get_or_init(|| global::tracer("benches"));
        let builder = tracer.span_builder("shop.Shop/Order").with_kind(self.0.clone()).with_attributes([
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", "shop.Shop/Order"),
            KeyValue::new("server.address", "shop.example.com"),
            KeyValue::new("server.port", 50051),
        ]);
        let context = opentelemetry::Context::current_with_span(tracer.build(builder));
        let _current = context.clone().attach();
        let future = self.1.call(request).with_context(context.clone());
        Box::pin(async move {
            let response = future.await;
            context.span().set_attribute(KeyValue::new("rpc.status_code", "OK"));
            context.span().end();
            response
        })
    }
}

#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Text;
    type Decoder = Text;

    fn encoder(&mut self) -> Text {
        Text
    }

    fn decoder(&mut self) -> Text {
        Text
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = bytes::Buf::copy_to_bytes(buffer, bytes::Buf::remaining(buffer));
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::internal("not text"))
    }
}
