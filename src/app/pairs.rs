//! Names and values: of queries and forms.

use super::Error;
use crate::http::Status;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Names and values in the order in which they came; a name may come several times.
///
/// ```
/// use httpyserver::{App, Request};
///
/// let app = App::new().get("/search", |request: &mut Request<'_>| {
///     let page: u32 = request.args().parse("page").unwrap_or(1);
///     format!("{} on page {page}", request.args().get("q").unwrap_or("nothing"))
/// });
/// assert_eq!(app.test().get("/search?q=rust+web&page=2").send().text(), "rust web on page 2");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    pairs: Vec<(String, String)>,
    /// Values that came as other bytes than those of their text, by their place.
    bytes: BTreeMap<usize, Vec<u8>>,
    is_cut: bool,
}

impl Pairs {
    /// Reads `application/x-www-form-urlencoded`. Of no more than 1000 pairs: nobody needs more, and
    /// each costs an allocation or two.
    pub(super) fn of_urlencoded(text: &[u8]) -> Self {
        let mut all = form_urlencoded::parse(text);
        let pairs = all.by_ref().take(PAIRS_MAX);
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
        let pairs = pairs.map(owned).collect();
        Self { pairs, is_cut: all.next().is_some(), ..Self::default() }
    }

    /// Those of a form that is too long to be read.
    pub(super) fn unread() -> Self {
        Self { is_cut: true, ..Self::default() }
    }

    pub(super) fn push(&mut self, name: String, value: String) {
        self.pairs.push((name, value));
    }

    /// A value whose text is not what came.
    pub(super) fn push_bytes(&mut self, name: String, value: String, bytes: Vec<u8>) {
        self.bytes.insert(self.pairs.len(), bytes);
        self.push(name, value);
    }

    /// The first value of `name`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     format!("{:?} {:?}", args.get("a"), args.get("b"))
    /// });
    /// assert_eq!(app.test().get("/?a=1&a=2").send().text(), r#"Some("1") None"#);
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// The first value of `name` as the bytes that came in a multipart form: in a character set of
    /// the client's own, or no text at all. The text of what is not UTF-8, and names no character
    /// set that is known, has U+FFFD in it.
    ///
    /// ```
    /// let app = httpyserver::App::new().post("/", |request| {
    ///     let form = request.form();
    ///     format!("{:?} {:?}", form.get("a"), form.bytes("a"))
    /// });
    /// let client = app.test();
    /// let body = b"--X\r\nContent-Disposition: form-data; name=a\r\n\r\n\xe9\r\n--X--";
    /// let request = client.post("/").header("Content-Type", "multipart/form-data; boundary=X");
    /// assert_eq!(request.body(body).send().text(), "Some(\"\u{fffd}\") Some([233])");
    /// ```
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let place = self.pairs.iter().position(|(own, _)| own == name)?;
        let own = self.bytes.get(&place).map(Vec::as_slice);
        own.or_else(|| Some(self.pairs.get(place)?.1.as_bytes()))
    }

    /// All values of `name`.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     args.get_all("a").collect::<Vec<_>>().join(",")
    /// });
    /// assert_eq!(app.test().get("/?a=1&b=2&a=3").send().text(), "1,3");
    /// ```
    pub fn get_all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.pairs.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name` as another type; `None` if it is missing or no such thing.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     format!("{:?} {:?}", args.parse::<u32>("page"), args.parse::<u32>("size"))
    /// });
    /// assert_eq!(app.test().get("/?page=2&size=x").send().text(), "Some(2) None");
    /// ```
    pub fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// The first value of `name`, which has to be there.
    ///
    /// # Errors
    /// 400 if it is missing; 413 if it is not among those that were read.
    ///
    /// ```
    /// use httpyserver::{App, Request, Result};
    ///
    /// fn search(request: &mut Request<'_>) -> Result<String> {
    ///     Ok(request.args().require("q")?.to_owned())
    /// }
    /// let client = App::new().get("/", search).test();
    /// assert_eq!(client.get("/?q=cat").send().text(), "cat");
    /// assert_eq!(client.get("/").send().status(), 400);
    /// ```
    pub fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| match self.is_cut {
            true => Self::too_long(),
            false => {
                Error::of_status(Status::BAD_REQUEST, format!("the field {name:?} is missing"))
            }
        })
    }

    /// Whether some were left out: there were more than 1000, or it is a form in a URL's encoding
    /// of more than 1 MiB, of which nothing is read.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| request.args().is_cut().to_string());
    /// let client = app.test();
    /// assert_eq!(client.get("/?a=1").send().text(), "false");
    /// assert_eq!(client.get(&format!("/?{}", "a&".repeat(1001))).send().text(), "true");
    /// ```
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What who sent too much is told.
    pub(super) fn too_long() -> Error {
        let reason = "a form or query with too many fields, or too long ones";
        Error::of_status(Status::CONTENT_TOO_LARGE, reason)
    }

    /// Whether `name` is there.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     args.contains("debug").to_string()
    /// });
    /// assert_eq!(app.test().get("/?debug").send().text(), "true");
    /// ```
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, in order.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     args.iter().map(|(name, value)| format!("{name}:{value} ")).collect::<String>()
    /// });
    /// assert_eq!(app.test().get("/?b=2&a=1").send().text(), "b:2 a:1 ");
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     args.len().to_string()
    /// });
    /// assert_eq!(app.test().get("/?a=1&a=2").send().text(), "2");
    /// ```
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// let app = httpyserver::App::new().get("/", |request| {
    ///     let args = request.args();
    ///     args.is_empty().to_string()
    /// });
    /// assert_eq!(app.test().get("/").send().text(), "true");
    /// ```
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Pairs of one query or form.
pub(super) const PAIRS_MAX: usize = 1000;
