//! The protocol, over a connection.

use server::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test]
async fn values_are_kept() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.address().unwrap();
    tokio::spawn(async move { server.run().await });
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    for (command, expected) in [("GET a", "\n"), ("SET a 1", "\n"), ("SET a 2", "1\n"), ("GET a", "2\n"), ("X", "ERROR\n")] {
        stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_line(&mut response).await.unwrap();
        assert_eq!(response, expected, "{command}");
    }
}
