//! A map that is served over TCP: `SET key value` and `GET key`.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Values = Arc<Mutex<HashMap<String, String>>>;

pub struct Server {
    listener: TcpListener,
    values: Values,
}

impl Server {
    pub async fn bind(address: &str) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        Ok(Server { listener, values: Values::default() })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub async fn run(&self) -> io::Result<()> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let mut connection = Connection { stream: BufReader::new(stream), values: self.values.clone() };
            tokio::spawn(async move { connection.run().await });
        }
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
    values: Values,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let mut line = String::new();
        while self.stream.read_line(&mut line).await? > 0 {
            self.command(line.trim_end()).await?;
            line.clear();
        }
        Ok(())
    }

    async fn command(&mut self, line: &str) -> io::Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        let response = match &*words {
            ["SET", key, value] => self.set(key, value).await,
            ["GET", key] => self.get(key).await,
            _ => "ERROR".to_owned(),
        };
        self.stream.write_all(format!("{response}\n").as_bytes()).await
    }

    async fn set(&self, key: &str, value: &str) -> String {
        let old = self.values.lock().unwrap().insert(key.to_owned(), value.to_owned());
        old.unwrap_or_default()
    }

    async fn get(&self, key: &str) -> String {
        let values = self.values.lock().unwrap();
        values.get(key).cloned().unwrap_or_default()
    }
}
