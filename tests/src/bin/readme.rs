//! The README's program, word for word. `tests/documents.rs` compares the two, and `tests/termination.rs` runs the
//! program.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use telemark::traced;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::install).init()?;
    let app = Router::new().route("/users/{id}", get(user)).layer(telemark::axum::layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn user(Path(id): Path<u64>) -> String {
    tracing::info!(user.id = id, "asked for a user");
    name(id)
}

#[traced(fields(id))]
fn name(id: u64) -> String {
    format!("user {id}")
}
