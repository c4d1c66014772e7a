//! A network server with a protocol of lines.

use server::Server;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = Server::bind("127.0.0.1:0").await?;
    println!("{}", server.address()?);
    tokio::select! {
        result = server.run() => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
