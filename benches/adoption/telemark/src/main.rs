//! The bare program plus server spans and metrics, a span in the code, propagation, and OTLP export, all using
//! Telemark: the README's program without its log lines, which the official crates' program does not have either.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use telemark::traced;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = telemark::init()?;
    let app = Router::new().route("/users/{id}", get(user)).layer(telemark::axum::layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    name(id)
}

#[traced(fields(id))]
fn name(id: u64) -> String {
    format!("user {id}")
}
