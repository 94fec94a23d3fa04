//! Calls of the methods of this group.

use crate::options::{
    GeoArea, GeoOrigin, GeoUnit, GeoaddOptions, GeoradiusOptions, GeosearchOptions,
    GeosearchstoreOptions,
};

const KM: GeoUnit = GeoUnit::Kilometers;

fn circle() -> GeoArea {
    GeoArea::circle(GeoOrigin::member("a"), 9.5, KM)
}

super::samples! {
    geoadd("g", [(1.5, 2.0, "a"), (3.0, 4.0, "b")]) => "GEOADD g 1.5 2 a 3 4 b";
    geoadd_with("g", [(1.5, 2.0, "a")], GeoaddOptions::new().ch().nx()) => "GEOADD g NX CH 1.5 2 a";
    geoadd_with("g", [(1.5, 2.0, "a")], GeoaddOptions::new().xx()) => "GEOADD g XX 1.5 2 a";
    geodist("g", "a", "b", GeoUnit::Meters) => "GEODIST g a b m";
    geodist("g", "a", "b", GeoUnit::Feet) => "GEODIST g a b ft";
    geodist("g", "a", "b", GeoUnit::Miles) => "GEODIST g a b mi";
    geohash("g", ["a", "b"]) => "GEOHASH g a b";
    geopos("g", ["a", "b"]) => "GEOPOS g a b";
    geosearch<Vec<String>>("g", circle()) => "GEOSEARCH g FROMMEMBER a BYRADIUS 9.5 km";
    geosearch<Vec<String>>("g", GeoArea::polygon(&[(0.0, 0.0), (0.0, 1.5), (1.0, 1.0)]))
        => "GEOSEARCH g BYPOLYGON 3 0 0 0 1.5 1 1";
    geosearch_with<Vec<String>>(
        "g",
        GeoArea::rectangle(GeoOrigin::lonlat(1.5, 2.0), 3.0, 4.0, KM),
        GeosearchOptions::new().withhash().withdist().withcoord().count(5).asc(),
    ) => "GEOSEARCH g FROMLONLAT 1.5 2 BYBOX 3 4 km ASC COUNT 5 WITHCOORD WITHDIST WITHHASH";
    geosearch_with<Vec<String>>("g", circle(), GeosearchOptions::new().count_any(5).desc())
        => "GEOSEARCH g FROMMEMBER a BYRADIUS 9.5 km DESC COUNT 5 ANY";
    geosearchstore("d", "g", circle()) => "GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 9.5 km";
    geosearchstore_with("d", "g", circle(), GeosearchstoreOptions::new().storedist().count(5).desc())
        => "GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 9.5 km DESC COUNT 5 STOREDIST";
    georadius<Vec<String>>("g", 1.5, 2.0, 9.5, KM) => "GEORADIUS g 1.5 2 9.5 km";
    georadius_with<i64>("g", 1.5, 2.0, 9.5, KM, GeoradiusOptions::new().store("d").desc().count_any(5))
        => "GEORADIUS g 1.5 2 9.5 km COUNT 5 ANY DESC STORE d";
    georadius_ro<Vec<String>>("g", 1.5, 2.0, 9.5, KM) => "GEORADIUS_RO g 1.5 2 9.5 km";
    georadius_ro_with<Vec<String>>("g", 1.5, 2.0, 9.5, KM, GeosearchOptions::new().withdist())
        => "GEORADIUS_RO g 1.5 2 9.5 km WITHDIST";
    georadiusbymember<Vec<String>>("g", "a", 9.5, KM) => "GEORADIUSBYMEMBER g a 9.5 km";
    georadiusbymember_with<i64>("g", "a", 9.5, KM, GeoradiusOptions::new().storedist("d"))
        => "GEORADIUSBYMEMBER g a 9.5 km STOREDIST d";
    georadiusbymember_ro<Vec<String>>("g", "a", 9.5, KM) => "GEORADIUSBYMEMBER_RO g a 9.5 km";
    georadiusbymember_ro_with<Vec<String>>("g", "a", 9.5, KM, GeosearchOptions::new().asc())
        => "GEORADIUSBYMEMBER_RO g a 9.5 km ASC";
}
