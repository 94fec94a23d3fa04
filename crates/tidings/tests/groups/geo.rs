//! Commands about places.

use crate::support::{Case, error, on_each};
use tidings::options::{
    GeoArea, GeoOrigin, GeoUnit, GeoaddOptions, GeoradiusOptions, GeosearchOptions,
    GeosearchstoreOptions,
};
use tidings::{Client, Commands};
use tidings_testkit::Flavor;

const PALERMO: (f64, f64, &str) = (13.361389, 38.115556, "Palermo");
const CATANIA: (f64, f64, &str) = (15.087269, 37.502669, "Catania");
const ROME: (f64, f64, &str) = (12.496366, 41.902782, "Rome");
const KM: GeoUnit = GeoUnit::Kilometers;

/// What comes back of a place with all options.
type Place = (String, f64, i64, (f64, f64));

async fn with_towns(case: &Case) -> Client {
    let client = case.client().await;
    let added = client.geoadd("towns", [PALERMO, CATANIA, ROME]).await;
    assert_eq!(added.unwrap(), 3);
    client
}

/// Within a hundredth of a percent: the servers keep places as numbers of 52 bits.
#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 1e-4,
        "{found}, not {expected}"
    );
}

#[track_caller]
fn assert_at(found: (f64, f64), town: (f64, f64, &str)) {
    assert_near(found.0, town.0);
    assert_near(found.1, town.1);
}

fn around_catania(kilometers: f64) -> GeoArea {
    GeoArea::circle(GeoOrigin::member("Catania"), kilometers, KM)
}

#[test]
fn places_are_added_and_moved() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let moved = (13.5, 38.0, "Palermo");
        let add = |town, options| client.geoadd_with("towns", [town], options);
        assert_eq!(add(moved, GeoaddOptions::new().nx().ch()).await.unwrap(), 0);
        assert_eq!(add(moved, GeoaddOptions::new().ch()).await.unwrap(), 1);
        let new = (9.19, 45.46, "Milan");
        assert_eq!(add(new, GeoaddOptions::new().xx()).await.unwrap(), 0);
        assert_eq!(add(new, GeoaddOptions::new()).await.unwrap(), 1);
        assert_eq!(client.geoadd("towns", &[PALERMO]).await.unwrap(), 0);
        let wrong = client.geoadd("towns", [(200.0, 0.0, "nowhere")]).await;
        assert_eq!(error(wrong).code(), Some("ERR"));

        let places = client.geopos("towns", ["Palermo", "none", "Milan"]).await;
        let places = places.unwrap();
        assert_eq!(places.len(), 3);
        assert_at(places[0].unwrap(), PALERMO);
        assert_eq!(places[1], None);
        assert_at(places[2].unwrap(), new);
        let none = client.geopos("none", ["Palermo"]).await.unwrap();
        assert_eq!(none, [None]);
    });
}

#[test]
fn distances_are_in_the_unit_asked_for() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let distance = |unit| client.geodist("towns", "Palermo", "Catania", unit);
        assert_near(
            distance(GeoUnit::Meters).await.unwrap().unwrap(),
            166_274.15,
        );
        assert_near(distance(KM).await.unwrap().unwrap(), 166.274);
        assert_near(distance(GeoUnit::Feet).await.unwrap().unwrap(), 545_518.87);
        assert_near(distance(GeoUnit::Miles).await.unwrap().unwrap(), 103.318);
        let none = client.geodist("towns", "Palermo", "none", KM).await;
        assert_eq!(none.unwrap(), None);
        let none = client.geodist("none", "Palermo", "Catania", KM).await;
        assert_eq!(none.unwrap(), None);
        let hashes = client.geohash("towns", ["Palermo", "none"]).await.unwrap();
        assert_eq!(hashes, [Some("sqc8b49rny0".to_owned()), None]);
    });
}

#[test]
fn areas_are_searched() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let mut found: Vec<String> = client
            .geosearch("towns", around_catania(200.0))
            .await
            .unwrap();
        found.sort();
        assert_eq!(found, ["Catania", "Palermo"]);
        let none: Vec<String> = client
            .geosearch(
                "none",
                GeoArea::circle(GeoOrigin::lonlat(1.0, 2.0), 1.0, KM),
            )
            .await
            .unwrap();
        assert_eq!(none, [""; 0]);

        let box_around = GeoArea::rectangle(GeoOrigin::lonlat(14.0, 39.0), 400.0, 400.0, KM);
        let order = GeosearchOptions::new().desc();
        let found: Vec<String> = client
            .geosearch_with("towns", box_around, order)
            .await
            .unwrap();
        assert_eq!(found, ["Catania", "Palermo"]);

        let options = GeosearchOptions::new().asc().count(2).withdist();
        let found: Vec<(String, f64)> = client
            .geosearch_with("towns", around_catania(1000.0), options)
            .await
            .unwrap();
        assert_eq!(found[0], ("Catania".to_owned(), 0.0));
        assert_eq!(found[1].0, "Palermo");
        assert_near(found[1].1, 166.274);
        assert_eq!(found.len(), 2);

        let options = GeosearchOptions::new().asc().withcoord();
        let found: Vec<(String, (f64, f64))> = client
            .geosearch_with("towns", around_catania(1000.0), options)
            .await
            .unwrap();
        assert_eq!(found.len(), 3);
        assert_at(found[2].1, ROME);

        let options = GeosearchOptions::new().count_any(1).withhash();
        let found: Vec<(String, i64)> = client
            .geosearch_with("towns", around_catania(1.0), options)
            .await
            .unwrap();
        assert_eq!(found, [("Catania".to_owned(), 3_479_447_370_796_909)]);

        let options = GeosearchOptions::new()
            .asc()
            .withdist()
            .withhash()
            .withcoord();
        let found: Vec<Place> = client
            .geosearch_with("towns", around_catania(1.0), options)
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].2, 3_479_447_370_796_909);
        assert_at(found[0].3, CATANIA);
    });
}

#[test]
fn polygons_are_searched_where_the_server_knows_them() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let sicily = GeoArea::polygon(&[(12.0, 38.5), (16.0, 38.5), (16.0, 36.5), (12.0, 36.5)]);
        let found = client.geosearch::<Vec<String>>("towns", sicily).await;
        let binary = case.server.binary();
        if binary.flavor == Flavor::Valkey && binary.version.major >= 9 {
            let mut found = found.unwrap();
            found.sort();
            assert_eq!(found, ["Catania", "Palermo"]);
        } else {
            assert_eq!(error(found).code(), Some("ERR"));
        }
    });
}

#[test]
fn what_is_found_is_stored() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let stored = client.geosearchstore("near", "towns", around_catania(200.0));
        assert_eq!(stored.await.unwrap(), 2);
        let places = client.geopos("near", ["Palermo", "Rome"]).await.unwrap();
        assert_at(places[0].unwrap(), PALERMO);
        assert_eq!(places[1], None);

        let options = GeosearchstoreOptions::new().asc().count(1).storedist();
        let area = GeoArea::circle(GeoOrigin::member("Palermo"), 300.0, KM);
        let stored = client.geosearchstore_with("one", "towns", area, options);
        assert_eq!(stored.await.unwrap(), 1);
        assert_eq!(case.server.cli(["ZRANGE", "one", "0", "-1"]), "Palermo");
        assert_eq!(case.server.cli(["ZSCORE", "one", "Palermo"]), "0");
        let options = GeosearchstoreOptions::new().desc().count_any(1);
        let stored = client.geosearchstore_with("one", "towns", around_catania(500.0), options);
        assert_eq!(stored.await.unwrap(), 1);
        let nothing = client.geosearchstore("near", "none", around_catania(1.0));
        let missing = nothing.await;
        assert_eq!(missing.unwrap(), 0);
        assert_eq!(client.exists("near").await.unwrap(), 0);
    });
}

#[test]
fn the_older_commands_search_circles() {
    on_each(async |case| {
        let client = with_towns(&case).await;
        let (longitude, latitude, _) = CATANIA;
        let sorted = |mut found: Vec<String>| {
            found.sort();
            found
        };
        let near = ["Catania", "Palermo"];
        let found = client.georadius("towns", longitude, latitude, 200.0, KM);
        assert_eq!(sorted(found.await.unwrap()), near);
        let found = client.georadius_ro("towns", longitude, latitude, 200.0, KM);
        assert_eq!(sorted(found.await.unwrap()), near);
        let found = client.georadiusbymember("towns", "Catania", 200.0, KM);
        assert_eq!(sorted(found.await.unwrap()), near);
        let found = client.georadiusbymember_ro("towns", "Catania", 200.0, KM);
        assert_eq!(sorted(found.await.unwrap()), near);

        let all = GeoradiusOptions::new()
            .withcoord()
            .withdist()
            .withhash()
            .count(1)
            .asc();
        let found: Vec<Place> = client
            .georadius_with("towns", longitude, latitude, 200.0, KM, all.clone())
            .await
            .unwrap();
        assert_eq!((found.len(), found[0].0.as_str()), (1, "Catania"));
        assert!(found[0].1 < 0.001);
        assert_at(found[0].3, CATANIA);
        let found: Vec<Place> = client
            .georadiusbymember_with("towns", "Catania", 200.0, KM, all)
            .await
            .unwrap();
        assert_at(found[0].3, CATANIA);
        let furthest = GeosearchOptions::new().desc().count(1).withdist();
        let found: Vec<(String, f64)> = client
            .georadius_ro_with("towns", longitude, latitude, 200.0, KM, furthest.clone())
            .await
            .unwrap();
        assert_eq!(found[0].0, "Palermo");
        assert_near(found[0].1, 166.274);
        let found: Vec<(String, f64)> = client
            .georadiusbymember_ro_with("towns", "Catania", 200.0, KM, furthest)
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "Palermo");

        let store = GeoradiusOptions::new().store("near");
        let stored: i64 = client
            .georadius_with("towns", longitude, latitude, 200.0, KM, store)
            .await
            .unwrap();
        assert_eq!(stored, 2);
        let store = GeoradiusOptions::new().storedist("far").desc().count_any(2);
        let stored: i64 = client
            .georadiusbymember_with("towns", "Catania", 200.0, KM, store)
            .await
            .unwrap();
        assert_eq!(stored, 2);
        assert_eq!(case.server.cli(["ZSCORE", "far", "Catania"]), "0");
        let places = client.geopos("near", ["Catania"]).await.unwrap();
        assert_at(places[0].unwrap(), CATANIA);
    });
}
