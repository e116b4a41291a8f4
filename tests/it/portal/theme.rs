//! How the host and its links make the portal look.

use serde_json::json;

use crate::api::Api;

#[tokio::test]
async fn a_theme_is_a_style_sheet_of_checked_values() {
    let api = Api::start().await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    assert_eq!(visit.get("/portal/webhooks").await.ok().count("link[rel=stylesheet]"), 1);
    let theme = json!({"accent": "#0f766e", "radius": "2", "font": "Inter", "mode": "light",
        "logo": "https://cdn.example.com/logo.png"});
    api.patch("/v1/projects/default", json!({"theme": theme})).await.ok();
    let page = visit.get("/portal/webhooks").await.ok();
    assert_eq!(page.attribute("img.logo", "src").unwrap(), "https://cdn.example.com/logo.png");
    let sheet = page.attributes("link[rel=stylesheet]", "href").pop().unwrap();
    let style = visit.get(&sheet).await.ok();
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    for part in ["--accent:#0f766e;", "--on-accent:#ffffff;", "--radius:2px;", "--font:Inter,", "color-scheme:light;"] {
        assert!(style.text.contains(part), "{} lacks {part}", style.text);
    }
    assert!(style.text.starts_with("@layer tokens{"), "a visitor's own choice goes before it: {}", style.text);
    assert_eq!(style.headers["cache-control"], "private, max-age=31536000, immutable");
    api.patch("/v1/projects/default", json!({"theme": {"radius": "9"}})).await.ok();
    let late = visit.get(&sheet).await.ok();
    assert!(late.text.contains("--radius:9px;"), "{}", late.text);
    assert_eq!(late.headers["cache-control"], "no-store", "it is not what its name says");
    api.stranger().get(&sheet).await.with(401);
    api.stop().await;
}

#[tokio::test]
async fn a_link_may_say_how_its_visit_looks() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.patch("/v1/projects/default", json!({"theme": {"mode": "light", "radius": "2"}})).await.ok();
    let link = api.portal_link("acme", json!({})).await;
    let visit = api.visit_by(&format!("{link}?mode=dark&accent=%23ffcc00&font=x%3B%7D&evil=1")).await;
    let page = visit.get("/portal/webhooks").await.ok();
    let style = visit.get(&page.attributes("link[rel=stylesheet]", "href")[1]).await.ok().text;
    assert!(style.contains("color-scheme:dark;") && style.contains("--radius:2px;"), "{style}");
    assert!(style.contains("--accent:#ffcc00;--on-accent:#000000;"), "black is read on yellow: {style}");
    assert!(!style.contains("--font") && !style.contains("evil"), "{style}");
    api.stop().await;
}
