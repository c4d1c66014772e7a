//! One route without telemetry: the baseline for the other two programs.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/users/{id}", get(user));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    name(id)
}

fn name(id: u64) -> String {
    format!("user {id}")
}
