//! The warehouse: a gRPC service that counts the items on the shelves, and its client. Both are written by hand, because
//! generated ones need `protoc`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use telemark::tonic::{Traced, client_layer, server_layer};
use telemark::traced;
use tokio::time::sleep;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, http};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, client, server};
use tonic_prost::ProstCodec;
use tower::ServiceBuilder;

const SHELVES: &[(&str, i64)] = &[("teapot", 5), ("cup", 40), ("cup", 8), ("milk jug", 0)];
const COUNT: &str = "/shop.Warehouse/Count";

#[derive(Clone, PartialEq, prost::Message)]
struct Product {
    #[prost(string, tag = "1")]
    sku: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Items {
    #[prost(int64, tag = "1")]
    available: i64,
}

/// Serves the warehouse on a free port until the program ends.
pub(crate) async fn serve() -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let count = async |request: http::Request<Body>| {
        server::Grpc::new(ProstCodec::default()).unary(Count, request).await.map(Body::new)
    };
    let routes = Router::new().route(COUNT, post(count));
    let server = Server::builder().layer(server_layer()).add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}

struct Count;

impl server::UnaryService<Product> for Count {
    type Response = Items;
    type Future = BoxFuture<Response<Items>, Status>;

    fn call(&mut self, request: Request<Product>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(Items { available: count(&request.get_ref().sku).await? })) })
    }
}

/// Returns the number of items on all of the product's shelves.
#[traced(fields(product.sku = sku))]
async fn count(sku: &str) -> Result<i64, Status> {
    let shelves: Vec<_> = SHELVES.iter().filter(|(name, _)| *name == sku).map(|(_, items)| items).collect();
    sleep(Duration::from_millis(5)).await; // walking to the shelf
    telemark::set_attribute("stock.shelves", shelves.len());
    if shelves.is_empty() { Err(Status::not_found("no shelf")) } else { Ok(shelves.into_iter().sum()) }
}

/// The client, which is cheap to clone.
#[derive(Clone)]
pub(crate) struct Warehouse(client::Grpc<Traced<Channel>>);

impl Warehouse {
    /// Returns a client that connects with its first call.
    pub(crate) fn at(server: SocketAddr) -> Result<Self, tonic::transport::Error> {
        let target = format!("http://{server}");
        let channel = Endpoint::from_shared(target.clone())?.connect_lazy();
        Ok(Warehouse(client::Grpc::new(ServiceBuilder::new().layer(client_layer(target)).service(channel))))
    }

    pub(crate) async fn count(&mut self, sku: String) -> Result<i64, Status> {
        self.0.ready().await.map_err(Status::from_error)?;
        let (request, path) = (Request::new(Product { sku }), PathAndQuery::from_static(COUNT));
        let items: Response<Items> = self.0.unary(request, path, ProstCodec::default()).await?;
        Ok(items.into_inner().available)
    }
}
