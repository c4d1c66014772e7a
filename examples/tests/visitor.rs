//! The shop's visitor counts unexpected responses, which make the program fail.
#![allow(dead_code, unreachable_pub, reason = "parts of a program, seen alone")]

#[path = "../shop/visitor.rs"]
mod visitor;

#[tokio::test]
async fn unexpected_answers_are_counted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A server without routes responds 404 to everything, which one of the five visits expects.
    tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
    assert_eq!(visitor::visit(address).await, 4);
}

#[tokio::test]
async fn no_answer_is_an_unexpected_one() {
    // Nothing listens there.
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(visitor::visit(address).await, 5);
}
