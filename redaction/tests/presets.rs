//! What each preset takes and leaves: the table in the documentation of the crate, and more.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use opentelemetry::Value;
use telemark_redaction::{Preset, Redaction};
use telemark_sdk::redaction::Redactor;

/// Compares each text, in which `‹` and `›` enclose what the preset takes, with the result of the preset.
fn check(preset: Preset, texts: &[&str]) {
    let redaction = Redaction::new().with_preset(preset);
    for marked in texts {
        let text = marked.replace(['‹', '›'], "");
        let mut expected = String::new();
        for (at, part) in marked.split(['‹', '›']).enumerate() {
            expected.push_str(if at % 2 == 1 { preset.replacement() } else { part });
        }
        let redacted = redaction.text(&text).unwrap_or_else(|| text.clone());
        assert_eq!(redacted, expected, "{preset}: {marked}");
        // The result is stable.
        assert_eq!(redaction.text(&redacted), None, "{preset}: {redacted}");
    }
}

#[test]
fn email_addresses() {
    check(
        Preset::EmailAddress,
        &[
            "‹ann@example.com›",
            "?to=‹ann%40example.com›&x=1",
            "‹jörg@bücher.example›",
            "mail <‹ann.b+c@mail.example.co.uk›>, ‹bob@example.org›.",
            "‹git@github.com›:org/repo",
            "https://‹ann@example.com›/",
            "to:‹ann@example.com›",
            "'‹o'neil@example.com›'",
            "‹ann@example.com›.5",
            "邮箱：‹ann@example.com›",
            "ann@localhost",
            "@ann",
            "a@b.c",
            "a @ example.com",
            "ann@1.2.3.4",
            "ann@.com",
            "REDACTED@host.example",
        ],
    );
}

#[test]
fn payment_cards() {
    check(
        Preset::PaymentCard,
        &[
            "‹4111111111111111›",
            "‹4111 1111 1111 1111›",
            "‹4111-1111-1111-1111›",
            "card=‹4111+1111+1111+1111›&",
            "‹4111%201111%201111%201111›",
            "12 ‹4111 1111 1111 1111› 34",
            "‹378282246310005›",
            "‹3782-822463-10005›",
            "‹5555555555554444›",
            "‹2223003122003222›",
            "‹6011111111111117›",
            "‹30569309025904›",
            "‹3530111333300000›",
            "‹4222222222222›",
            "‹6304000000000000›",
            "id‹4111111111111111›x",
            "4111111111111112",
            "0.4111111111111111",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "4111 1111-1111 1111",
            "1111111111111117",
            "9111111111111111",
            "411111111111111",
            "41111111111111111111",
            "4bf92f3577b34a4111111111111111ab",
        ],
    );
    let redaction = Redaction::new().with_preset(Preset::PaymentCard);
    let mut value = Value::I64(4_111_111_111_111_111);
    assert!(redaction.attribute("card", &mut value));
    assert_eq!(value.as_str(), "[payment_card]");
}

#[test]
fn social_security_numbers() {
    check(
        Preset::SocialSecurityNumber,
        &[
            "‹078-05-1120›",
            "‹078 05 1120›",
            "ssn=‹078+05+1120›&",
            "part ‹123-45-6789›",
            "x‹078-05-1120›y",
            "078051120",
            "078-05 1120",
            "1078-05-1120",
            "078-05-11201",
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
        ],
    );
}

#[test]
fn bearer_tokens() {
    check(
        Preset::BearerToken,
        &[
            "Bearer ‹dG9rZW4tMQ›",
            "authorization: bearer ‹abc123DEF456.~+/==›, x",
            "?h=bearer%20‹dG9rZW4tMQ›&x",
            "Basic ‹YW5uOnMzY3JldA==›",
            "‹eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln›",
            "jwt=‹eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln›;",
            "cut: ‹eyJhbGciOiJIUzI1NiJ9.eyJzdW›",
            "cut: ‹eyJhbGciOiJIU›",
            "Bearer ‹Certificates›",
            "bearer authentication failed",
            "Basic access",
            "Bearer x",
            "eyJ is no token",
        ],
    );
    let redaction = Redaction::new().with_preset(Preset::BearerToken);
    let mut value = Value::from("Digest username=ann");
    assert!(redaction.attribute("http.request.header.authorization", &mut value));
    assert_eq!(value.as_str(), "[bearer_token]");
}

#[test]
fn passwords() {
    check(
        Preset::Password,
        &[
            "postgres://ann:‹s3cret›@db/shop",
            "postgres://ann:‹p@ss:word›@db",
            "https://‹t0ken›@host/",
            "ssh://‹git›@host/",
            "/login?user=ann&access_token=‹abc›&x=1",
            "password=‹abc›",
            "Password = ‹abc› x",
            "db_password: ‹abc›",
            r#"{"user":"ann","password": "‹a"b›"#.replace("a\"b", "a b").as_str(),
            r#"{"password":"‹a\"b›","x":1}"#,
            r#"{\"apiKey\":\"‹abc›\",\"x\":1}"#,
            r#"Login { secret: Some("‹abc›"), id: 1 }"#,
            "user[password]=‹abc›&x",
            "user%5Bpassword%5D=‹abc›&x",
            ":password => '‹abc›'",
            "Server=db;Pwd=‹abc›;Database=shop",
            "X-Amz-Signature=‹abc›",
            "token: ‹Bearer abc› x",
            "next_page_token=‹7›",
            "password: ‹wrong›",
            "password=\"‹never closed›",
            r#"passwords: ["a"], password=‹["a","b"]›, x"#,
            r#"password=‹["x]y","z"]›, x"#,
            r#"{\"token\":‹[\"a]b\",\"c\"]›}"#,
            "/login?password=‹it's-me›&x=1",
            "/login?password=‹a\"b'c›",
            "'/login?password=‹abc›', then",
            r#"{"url":"/login?password=‹abc›","user":"ann"}"#,
            "('password=‹abc›')",
            r#"{"secret": ‹{"value":"x","more":[{"y":"}"}]}›, "id":1}"#,
            r#"password=‹[["a"],["b"]]›, x"#,
            r#"{\"secret\":‹{\"value\":\"}x\"}›,\"id\":1}"#,
            "{'secret': ‹{'value': 'it}s'}›, 'id': 1}",
            r#"secret=‹{"never":"closed"›"#,
            r#"Login { secret: ‹Secret { value: "x" }›, id: 1 }"#,
            r#"Login { secret: ‹Some(Secret { value: "x" }›), id: 1 }"#,
            "postgres://ann:‹p/w?x#y›@db/shop",
            "postgres://ann:‹it's›@db/shop",
            "see amqp://ann:‹a/b›@db, then mail@example.com",
            "amqp://ann:‹12/3›@db",
            "see postgresql+asyncpg://ann:‹12/4#5›@db:5432/shop",
            "MongoDB+srv://ann:‹12#3›@db/shop?w=1",
            "https://ann:‹123456/7›@host/",
            "amqp://host:5672/vhost",
            "postgres://db:5432/shop?user=ann@b",
            "https://ann:12/3@host",
            "http://[::1]:8080/a@b",
            "max_tokens=5",
            "password=null",
            "password::Error",
            "password is abc",
            "compass=north",
            "a == b",
            "https://host:8080/a@b",
            "https%3A%2F%2Fann%3As3cret%40db",
        ],
    );
    let redaction = Redaction::new().with_preset(Preset::Password);
    for (key, expected) in
        [("db.password", "REDACTED"), ("http.request.header.x-api-key", "REDACTED"), ("db.name", "v")]
    {
        let mut value = Value::from("v");
        assert!(redaction.attribute(key, &mut value));
        assert_eq!(value.as_str(), expected, "{key}");
    }
}

#[test]
fn ip_addresses() {
    check(
        Preset::IpAddress,
        &[
            "‹192.0.2.7›",
            "‹192.0.2.7›:80",
            "addr:‹10.0.0.1›:80, ‹10.0.0.2›.",
            "‹10.0.0.0›/8",
            "...‹10.0.0.1›",
            "‹2001:db8::1›",
            "[‹2001:db8::1›]:80",
            "client:‹2001:db8::1›",
            "‹::ffff:192.0.2.7›",
            "‹fe80::1›%eth0",
            "‹2001:db8::1›.",
            "‹2001:db8:0:0:0:0:0:1›, then",
            "version ‹10.0.19.1›",
            "‹00:11:22:33:44:55:66:77›",
            "v10.0.19.1",
            "1.2.3",
            "1.2.3.4.5",
            "999.0.2.7",
            "127.0.0.1",
            "::1",
            "0.0.0.0",
            "12:34:56",
            "00:1a:2b:3c:4d:5e",
            "abc::def",
            "std::net::IpAddr",
        ],
    );
}

#[test]
fn presets_together_leave_the_host_of_a_url() {
    let redaction = Redaction::new().with_presets(Preset::ALL);
    let text = "postgres://ann:s3cret@db.example.com/shop";
    assert_eq!(redaction.text(text).unwrap(), "postgres://ann:REDACTED@db.example.com/shop");
}

/// The documentation's table names each of these texts in the row of its preset.
#[test]
fn the_table_of_the_documentation_is_true() {
    let page = include_str!("../src/lib.rs");
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("//! | `")).collect();
    let mut checked = 0;
    for preset in Preset::ALL {
        let row = rows.iter().find(|row| row.starts_with(&format!("{preset}` "))).unwrap();
        let columns: Vec<_> = row.split(" | ").collect();
        let redaction = Redaction::new().with_preset(preset);
        for (column, takes) in [(1, true), (2, true), (3, false)] {
            for text in columns[column].split('`').skip(1).step_by(2).filter(|text| text.contains(is_of_an_example)) {
                let is_key = text.starts_with("http.request.header.") || text.starts_with("db.");
                if is_key || text == "git" || text.contains('…') {
                    continue;
                }
                assert_eq!(redaction.text(text).is_some(), takes, "{preset}: {text}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "the table was read: {checked}");
}

fn is_of_an_example(c: char) -> bool {
    !c.is_alphabetic() && c != '_'
}
