//! A visitor of the portal: one connection, a session's cookie, and the pages it reads.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::api::Api;

/// The largest page that is read.
const MAX_PAGE: usize = 8 * 1024 * 1024;

/// See the module. Its connection ends when it is dropped.
pub struct Visitor {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    cookie: String,
    _connection: JoinSet<()>,
}

impl Visitor {
    /// Opens an organization's portal by a link that the API makes.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn enter(api: &Api, organization: &str) -> anyhow::Result<Self> {
        let link = api.portal_link(organization).await?;
        let stream = TcpStream::connect(api.address()).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            // How it ends is seen by the next request.
            let _ = connection.await;
        });
        let mut visitor = Visitor { sender, host: api.host().to_owned(), cookie: String::new(), _connection: driving };
        let path = link.find("/portal/").map(|at| &link[at..]).context("the link leads to no portal")?;
        let (status, headers, _) = visitor.ask(Method::POST, path, "identity").await?;
        ensure!(status == StatusCode::SEE_OTHER, "the link does not open the portal: {status}");
        let cookie = headers.get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).context("the portal gives no cookie")?;
        visitor.cookie = cookie.to_owned();
        Ok(visitor)
    }

    /// Loads what is at `path` as a browser does, compressed; gives how many bytes of body came.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn load(&mut self, path: &str) -> anyhow::Result<usize> {
        let (status, _, body) = self.ask(Method::GET, path, "gzip, deflate, br").await?;
        ensure!(status == StatusCode::OK, "{path} was answered with {status}");
        Ok(body.len())
    }

    /// Reads the page at `path`.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or answers no text.
    pub async fn read(&mut self, path: &str) -> anyhow::Result<Seen> {
        let (status, _, body) = self.ask(Method::GET, path, "identity").await?;
        ensure!(status == StatusCode::OK, "{path} was answered with {status}");
        Ok(Seen::new(std::str::from_utf8(&body)?))
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        encodings: &str,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::COOKIE, &self.cookie)
            .header(header::ACCEPT, "text/html")
            .header(header::ACCEPT_ENCODING, encodings)
            .body(Full::new(Bytes::new()))?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_PAGE).collect().await.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok((head.status, head.headers, body))
    }
}

/// A page as it was read.
pub struct Seen(String);

impl Seen {
    /// A page with this text.
    pub fn new(text: &str) -> Self {
        Seen(text.to_owned())
    }

    /// Where the list goes on.
    pub fn older(&self) -> Option<String> {
        let before = &self.0[..self.0.find("rel=\"next\"")?];
        let path = quoted(before.rfind("href=").map(|at| &before[at..])?)?;
        Some(path.replace("&#38;", "&").replace("&amp;", "&"))
    }

    /// The style sheets and scripts that it loads from this server.
    pub fn assets(&self) -> Vec<String> {
        let parts = ["href=\"/portal/", "src=\"/portal/"].into_iter().flat_map(|start| self.0.match_indices(start));
        let paths = parts.filter_map(|(at, _)| quoted(&self.0[at..]));
        paths
            .filter(|path| path.starts_with("/portal/assets/") || path.starts_with("/portal/theme/"))
            .map(str::to_owned)
            .collect()
    }
}

/// What stands between the first quotation marks.
fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_it_goes_on_and_what_it_loads() {
        let text = "<link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/portal/assets/portal-1.css\">
            <script src=\"/portal/assets/htmx-2.js\" defer></script><a href=\"/portal/deliveries\">Newest</a>
            <a class=\"button\" href=\"/portal/deliveries?state=x&#38;cursor=y&amp;z=1\" rel=\"next\">Older</a>";
        let seen = Seen::new(text);
        assert_eq!(seen.older().as_deref(), Some("/portal/deliveries?state=x&cursor=y&z=1"));
        assert_eq!(seen.assets(), ["/portal/assets/portal-1.css", "/portal/assets/htmx-2.js"]);
        assert_eq!(Seen::new("<a href=\"/portal\">Home</a>").older(), None);
    }
}
