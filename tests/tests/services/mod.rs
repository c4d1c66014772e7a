//! Two HTTP services, a gRPC service and a database, each behind the other: axum, `#[traced]`, reqwest, axum, tonic, sqlx.
//! The root of the test chooses the integrations, which report to the telemetry of the program.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::{get, post};
use opentelemetry::trace::SpanId;
use telemark::traced;
use tokio::net::TcpListener;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use tower::ServiceBuilder;

use crate::integrations::{Client, SqlitePool, SqlitePoolOptions, grpc_client, grpc_server, http_server};

/// The spans of one visit, each with its kind.
pub(crate) const TREE: &str = "\
Server GET /orders/{sku}
  Internal order
    Client GET
      Server GET /stock/{sku}
        Client test.Warehouse/Count
          Server test.Warehouse/Count
            Client SELECT stock
";

/// The durations that one visit measures, each with the span in which it does so.
pub(crate) const DURATIONS: [(&str, &str); 6] = [
    ("db.client.operation.duration", "Client SELECT stock"),
    ("http.client.request.duration", "Client GET"),
    ("http.server.request.duration", "Server GET /orders/{sku}"),
    ("http.server.request.duration", "Server GET /stock/{sku}"),
    ("rpc.client.call.duration", "Client test.Warehouse/Count"),
    ("rpc.server.call.duration", "Server test.Warehouse/Count"),
];

const COUNT: &str = "/test.Warehouse/Count";

/// Starts all services and visits the first one. Its client is not observed.
pub(crate) async fn visit() -> String {
    let database = database().await;
    let warehouse = warehouse(database).await;
    let inventory = Router::new().route("/stock/{sku}", get(stock)).with_state(warehouse);
    let shop = Shop { client: Client::new(), inventory: serve(inventory).await };
    let ordered = async |State(shop): State<Shop>, Path(sku): Path<String>| order(&shop, &sku).await;
    let shop = serve(Router::new().route("/orders/{sku}", get(ordered)).with_state(shop)).await;
    let visitor = Client::new().into_inner();
    visitor.get(format!("http://{shop}/orders/cup")).send().await.unwrap().text().await.unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    let app = app.layer(http_server());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[derive(Clone)]
struct Shop {
    client: Client,
    inventory: SocketAddr,
}

#[traced]
async fn order(shop: &Shop, sku: &str) -> String {
    let url = format!("http://{}/stock/{sku}", shop.inventory);
    shop.client.get(url).send().await.unwrap().text().await.unwrap()
}

async fn stock(State(warehouse): State<Channel>, Path(sku): Path<String>) -> String {
    let channel = ServiceBuilder::new().layer(grpc_client("http://warehouse:50051")).service(warehouse);
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = ProstCodec::<String, i64>::default();
    let response = client.unary(tonic::Request::new(sku), PathAndQuery::from_static(COUNT), codec).await.unwrap();
    format!("{} left", response.into_inner())
}

/// Starts the gRPC service and returns a channel to it.
async fn warehouse(database: SqlitePool) -> Channel {
    let (listener, address) = listen().await;
    let count = async move |request: Request| {
        let codec = ProstCodec::<i64, String>::default();
        tonic::server::Grpc::new(codec).unary(Count(database), request).await.map(Body::new)
    };
    let routes = Router::new().route(COUNT, post(count));
    let server = Server::builder().layer(grpc_server()).add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

struct Count(SqlitePool);

impl tonic::server::UnaryService<String> for Count {
    type Response = i64;
    type Future = BoxFuture<Response<i64>, Status>;

    fn call(&mut self, request: tonic::Request<String>) -> Self::Future {
        let database = self.0.clone();
        Box::pin(async move {
            let query = sqlx::query_scalar("SELECT items FROM stock WHERE sku = ?").bind(request.into_inner());
            Ok(Response::new(query.fetch_one(&database).await.unwrap()))
        })
    }
}

/// Opens a database in a file, because the spans of one in memory are not those of a client.
async fn database() -> SqlitePool {
    let file = std::env::temp_dir().join(format!("telemark-one-trace-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let schema = "CREATE TABLE stock (sku TEXT, items INTEGER); INSERT INTO stock VALUES ('cup', 48)";
    sqlx::raw_sql(schema).execute(&*pool).await.unwrap();
    // The open connection keeps the file.
    std::fs::remove_file(&file).unwrap();
    pool
}

/// Returns [`DURATIONS`] as found in collected metrics.
pub(crate) fn durations() -> BTreeSet<(String, String)> {
    DURATIONS.iter().map(|(metric, span)| ((*metric).to_owned(), (*span).to_owned())).collect()
}

/// Returns the spans as a tree: those without a parent among them are at the left.
pub(crate) fn tree(rows: Vec<(SpanId, SpanId, String)>) -> String {
    fn add(text: &mut String, rows: &[(SpanId, SpanId, String)], parent: Option<SpanId>, depth: usize) {
        let is_root = |above: SpanId| !rows.iter().any(|(id, ..)| *id == above);
        for (id, above, shown) in rows {
            if parent.map_or_else(|| is_root(*above), |parent| parent == *above) {
                text.push_str(&format!("{}{shown}\n", "  ".repeat(depth)));
                add(text, rows, Some(*id), depth + 1);
            }
        }
    }
    let mut text = String::new();
    add(&mut text, &rows, None, 0);
    text
}

/// Waits until as many spans have ended as [`TREE`] has. A server may end its last span after its client has the response.
pub(crate) async fn ended(count: impl Fn() -> usize) {
    let ended = async {
        while count() < TREE.lines().count() {
            tokio::task::yield_now().await;
        }
    };
    // The comparison with the tree shows what is missing.
    let _ = tokio::time::timeout(Duration::from_secs(20), ended).await;
}
