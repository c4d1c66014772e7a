//! The database that a connection leads to, and the attributes that describe it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::{KeyValue, StringValue};
use telemark_kit::{BoundedText, Interner, keys};

use crate::sql::Dialect;

/// The identities of databases, which live as long as the program. A database beyond these limits has no identity, and its
/// measurements are not cached.
static IDENTITIES: Interner<()> = Interner::new(1024, 512);

/// A database management system, as `db.system.name` reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum System {
    /// `postgresql`.
    PostgreSql,
    /// `mysql`.
    MySql,
    /// `mariadb`.
    MariaDb,
    /// `sqlite`.
    Sqlite,
    /// `other_sql`.
    OtherSql,
    /// Any other value of the semantic conventions.
    Other(&'static str),
}

impl System {
    /// Returns the value of `db.system.name`.
    pub fn name(self) -> &'static str {
        match self {
            System::PostgreSql => "postgresql",
            System::MySql => "mysql",
            System::MariaDb => "mariadb",
            System::Sqlite => "sqlite",
            System::OtherSql => "other_sql",
            System::Other(name) => name,
        }
    }

    /// Returns the dialect in which its statements are written.
    pub fn dialect(self) -> Dialect {
        match self {
            System::PostgreSql => Dialect::PostgreSql,
            System::MySql | System::MariaDb => Dialect::MySql,
            System::Sqlite => Dialect::Sqlite,
            System::OtherSql | System::Other(_) => Dialect::Generic,
        }
    }

    /// Returns the port that `server.port` leaves out.
    pub fn default_port(self) -> Option<u16> {
        match self {
            System::PostgreSql => Some(5432),
            System::MySql | System::MariaDb => Some(3306),
            _ => None,
        }
    }

    /// Returns true if a response with this status code is a failure. PostgreSQL and MariaDB report warnings and the end of
    /// data in the classes `00` to `01` of SQLSTATE.
    ///
    /// spec: db/postgresql.md, db/mariadb.md: response codes of class `02` and higher are errors
    pub fn is_failure(self, code: &str) -> bool {
        let is_sqlstate = code.len() == 5;
        match self {
            System::PostgreSql | System::MariaDb if is_sqlstate => !matches!(code.get(..2), Some("00" | "01")),
            _ => true,
        }
    }
}

/// A database: its system, its name and its server. Clones are cheap and share the attributes.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    system: System,
    namespace: Option<StringValue>,
    address: Option<StringValue>,
    port: Option<u16>,
    is_in_memory: bool,
    /// Distinguishes databases in caches: equal for databases with the same attributes.
    /// Taken at first use, because identities are limited and most databases are only steps to another one.
    id: OnceLock<Option<usize>>,
    attributes: Vec<KeyValue>,
}

impl Database {
    /// Returns a database of which only the system is known.
    pub fn new(system: System) -> Self {
        let inner = Inner {
            system,
            namespace: None,
            address: None,
            port: None,
            is_in_memory: false,
            id: OnceLock::new(),
            attributes: Vec::new(),
        };
        Database::described(inner)
    }

    /// Sets `db.namespace`: the name of the database within its server. For PostgreSQL, this may be
    /// `database|schema`.
    pub fn with_namespace(self, namespace: &str) -> Self {
        self.changed(|inner| inner.namespace = text(namespace))
    }

    /// Sets `server.address`, and `server.port` unless it is the default port of the system.
    pub fn with_server(self, address: &str, port: Option<u16>) -> Self {
        self.changed(|inner| {
            inner.address = text(address);
            inner.port = port.filter(|port| Some(*port) != inner.system.default_port());
        })
    }

    /// Sets several servers, one of which answers. They appear in this order, as `a:5432,b:6432`.
    ///
    /// spec: db/database-spans.md, server.address: several hosts are joined with their ports, without `server.port`
    pub fn with_servers<'a>(self, servers: impl IntoIterator<Item = (&'a str, u16)>) -> Self {
        let list: Vec<_> = servers.into_iter().map(|(address, port)| host_and_port(address, Some(port))).collect();
        self.changed(|inner| (inner.address, inner.port) = (text(&list.join(",")), None))
    }

    /// Declares that the database lives in the memory of this process. Its spans are of kind `INTERNAL`.
    ///
    /// spec: db/database-spans.md: span kind
    pub fn with_in_memory(self) -> Self {
        self.changed(|inner| inner.is_in_memory = true)
    }

    /// Replaces the system, for drivers that serve several.
    pub fn with_system(self, system: System) -> Self {
        self.changed(|inner| inner.system = system)
    }

    /// Returns the system.
    pub fn system(&self) -> System {
        self.0.system
    }

    /// Returns true if the database lives in the memory of this process.
    pub fn is_in_memory(&self) -> bool {
        self.0.is_in_memory
    }

    /// Returns `db.system.name`, `db.namespace`, `server.address` and `server.port`, as far as they are known.
    pub fn attributes(&self) -> &[KeyValue] {
        &self.0.attributes
    }

    /// Returns the name for a pool without one.
    ///
    /// spec: db/database-metrics.md, db.client.connection.pool.name
    pub fn pool_name(&self) -> String {
        match (&self.0.namespace, &self.0.address) {
            (Some(namespace), _) => namespace.to_string(),
            (None, Some(address)) => host_and_port(address.as_str(), self.0.port),
            (None, None) => self.0.system.name().to_owned(),
        }
    }

    /// Returns the end of a span name: the namespace or the server.
    ///
    /// spec: db/database-spans.md#name
    pub(crate) fn target(&self) -> Option<String> {
        match (&self.0.namespace, &self.0.address) {
            (None, None) => None,
            _ => Some(self.pool_name()),
        }
    }

    pub(crate) fn id(&self) -> Option<usize> {
        *self.0.id.get_or_init(|| {
            let shown = self.0.attributes.iter().map(|attribute| format!("{}={}\0", attribute.key, attribute.value));
            IDENTITIES.get(&shown.collect::<String>(), |_| ()).map(|(text, ())| text.as_ptr().addr())
        })
    }

    fn changed(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Database::described(inner)
    }

    fn described(mut inner: Inner) -> Self {
        let mut attributes = vec![KeyValue::new(keys::DB_SYSTEM_NAME, inner.system.name())];
        attributes.extend(inner.namespace.clone().map(|namespace| KeyValue::new(keys::DB_NAMESPACE, namespace)));
        if let Some(address) = &inner.address {
            attributes.push(KeyValue::new(keys::SERVER_ADDRESS, address.clone()));
            attributes.extend(inner.port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        inner.id = OnceLock::new();
        inner.attributes = attributes;
        Database(Arc::new(inner))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.0.system).field(&self.pool_name()).finish()
    }
}

fn text(text: &str) -> Option<StringValue> {
    (!text.is_empty()).then(|| StringValue::from(Arc::<str>::from(BoundedText::new(text).text)))
}

fn host_and_port(address: &str, port: Option<u16>) -> String {
    let is_ipv6 = address.contains(':') && !address.starts_with('[');
    match (port, is_ipv6) {
        (Some(port), true) => format!("[{address}]:{port}"),
        (Some(port), false) => format!("{address}:{port}"),
        (None, _) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(database: &Database) -> String {
        let pairs: Vec<_> =
            database.attributes().iter().map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
        format!("{} pool={}", pairs.join(" "), database.pool_name())
    }

    #[test]
    fn a_database_is_described_as_far_as_it_is_known() {
        let check = |database: Database, expected: &str| assert_eq!(shown(&database), expected);
        let postgres = || Database::new(System::PostgreSql);
        check(postgres(), "db.system.name=postgresql pool=postgresql");
        check(
            postgres().with_namespace("shop|public").with_server("db", Some(5432)),
            "db.system.name=postgresql db.namespace=shop|public server.address=db pool=shop|public",
        );
        check(
            postgres().with_server("::1", Some(6432)),
            "db.system.name=postgresql server.address=::1 server.port=6432 pool=[::1]:6432",
        );
        check(
            Database::new(System::MySql).with_servers([("a", 3306), ("b", 3307)]).with_system(System::MariaDb),
            "db.system.name=mariadb server.address=a:3306,b:3307 pool=a:3306,b:3307",
        );
        check(Database::new(System::Other("redshift")).with_namespace(""), "db.system.name=redshift pool=redshift");
    }

    #[test]
    fn databases_with_the_same_attributes_share_an_identity() {
        let base = Database::new(System::PostgreSql).with_server("identities", None);
        let (first, second) = (base.clone().with_namespace("a"), base.clone().with_namespace("b"));
        let other = base.clone().with_system(System::MySql);
        let ids = [base.id(), first.id(), second.id(), other.id()];
        assert!(ids.iter().all(Option::is_some), "{ids:?}");
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4, "{ids:?}");
        let again = Database::new(System::PostgreSql).with_namespace("a").with_server("identities", Some(5432));
        assert_eq!((again.id(), again.attributes()), (first.id(), first.attributes()));
        assert_eq!(base.with_namespace(&"x".repeat(600)).id(), None);
    }

    #[test]
    fn a_database_that_is_never_used_takes_no_identity() {
        for number in 0..1100 {
            drop(Database::new(System::PostgreSql).with_namespace(&format!("unused{number}")));
        }
        assert!(Database::new(System::PostgreSql).with_namespace("used").id().is_some());
    }

    #[test]
    fn warnings_are_no_failures() {
        let check = |system: System, code: &str, expected: bool| {
            assert_eq!(system.is_failure(code), expected, "{system:?} {code}");
        };
        check(System::PostgreSql, "01000", false);
        check(System::PostgreSql, "02000", true);
        check(System::PostgreSql, "23505", true);
        check(System::MariaDb, "00000", false);
        check(System::MariaDb, "1062", true);
        check(System::MySql, "01000", true);
        check(System::Sqlite, "1", true);
    }
}
