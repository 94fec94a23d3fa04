//! Units, areas, and the options of geo commands.

use tidings_proto::ToArg;

use crate::commands::args::{Words, choices, options, written_as};

choices! {
    /// A unit of lengths.
    pub enum GeoUnit {
        /// `m`.
        Meters = "m",
        /// `km`.
        Kilometers = "km",
        /// `ft`.
        Feet = "ft",
        /// `mi`.
        Miles = "mi",
    }
}

/// Where the middle of a [`GeoArea`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a command takes them"]
pub struct GeoOrigin {
    words: Words,
}

impl GeoOrigin {
    /// `FROMMEMBER`: where a member of the same key is.
    pub fn member(member: impl ToArg) -> Self {
        let mut words = Words::of("FROMMEMBER");
        words.arg(member);
        Self { words }
    }

    /// `FROMLONLAT`: at a longitude and a latitude, in degrees.
    pub fn lonlat(longitude: f64, latitude: f64) -> Self {
        let mut words = Words::of("FROMLONLAT");
        words.arg(longitude).arg(latitude);
        Self { words }
    }
}

written_as!(GeoOrigin: words);

/// The area that `GEOSEARCH` searches.
///
/// ```
/// use tidings::options::{GeoArea, GeoOrigin, GeoUnit};
///
/// let nearby = GeoArea::circle(GeoOrigin::member("Palermo"), 200.0, GeoUnit::Kilometers);
/// let map = GeoArea::rectangle(GeoOrigin::lonlat(15.0, 37.0), 400.0, 300.0, GeoUnit::Kilometers);
/// # let _ = (nearby, map);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a command takes them"]
pub struct GeoArea {
    words: Words,
}

impl GeoArea {
    /// `BYRADIUS`: what is no further away than the radius.
    pub fn circle(origin: GeoOrigin, radius: f64, unit: GeoUnit) -> Self {
        let mut words = origin.words;
        words.arg("BYRADIUS").arg(radius).arg(unit);
        Self { words }
    }

    /// `BYBOX`: a rectangle along the axes, with the origin in the middle.
    pub fn rectangle(origin: GeoOrigin, width: f64, height: f64, unit: GeoUnit) -> Self {
        let mut words = origin.words;
        words.arg("BYBOX").arg(width).arg(height).arg(unit);
        Self { words }
    }

    /// `BYPOLYGON`: within so many corners, each a longitude and a latitude in degrees. Since Valkey 9.0.
    pub fn polygon(corners: &[(f64, f64)]) -> Self {
        let mut words = Words::of("BYPOLYGON");
        words.arg(corners.len()).arg(corners);
        Self { words }
    }
}

written_as!(GeoArea: words);

options! {
    /// Options of `GEOADD`.
    pub struct GeoaddOptions {
        condition {
            /// `NX`: only adds, and leaves members that are there where they are. Since 6.2.0.
            fn nx() = ["NX"];
            /// `XX`: only moves members that are there. Since 6.2.0.
            fn xx() = ["XX"];
        }
        changed {
            /// `CH`: the members that were moved are counted as well. Since 6.2.0.
            fn ch() = ["CH"];
        }
    }

    /// Options of `GEOSEARCH`, `GEORADIUS_RO` and `GEORADIUSBYMEMBER_RO`. What comes back of a member, in this order:
    /// its name, its distance, its hash, its place.
    pub struct GeosearchOptions {
        order {
            /// `ASC`: the nearest first.
            fn asc() = ["ASC"];
            /// `DESC`: the furthest first.
            fn desc() = ["DESC"];
        }
        count {
            /// `COUNT`: so many at most, the nearest.
            fn count(members: u64) = ["COUNT" members];
            /// `COUNT … ANY`: as soon as so many are found, whether or not others are nearer.
            fn count_any(members: u64) = ["COUNT" members "ANY"];
        }
        place {
            /// `WITHCOORD`: with longitude and latitude, as `(f64, f64)`.
            fn withcoord() = ["WITHCOORD"];
        }
        distance {
            /// `WITHDIST`: with the distance from the middle in the unit of the area, as `f64`.
            fn withdist() = ["WITHDIST"];
        }
        hash {
            /// `WITHHASH`: with the number that stands for the place, as `i64`.
            fn withhash() = ["WITHHASH"];
        }
    }

    /// Options of `GEOSEARCHSTORE`.
    pub struct GeosearchstoreOptions {
        order {
            /// `ASC`: the nearest first.
            fn asc() = ["ASC"];
            /// `DESC`: the furthest first.
            fn desc() = ["DESC"];
        }
        count {
            /// `COUNT`: so many at most, the nearest.
            fn count(members: u64) = ["COUNT" members];
            /// `COUNT … ANY`: as soon as so many are found, whether or not others are nearer.
            fn count_any(members: u64) = ["COUNT" members "ANY"];
        }
        store {
            /// `STOREDIST`: stores the distances as scores, in the unit of the area.
            fn storedist() = ["STOREDIST"];
        }
    }

    /// Options of `GEORADIUS` and `GEORADIUSBYMEMBER`. What comes back of a member, in this order: its name, its
    /// distance, its hash, its place.
    pub struct GeoradiusOptions {
        place {
            /// `WITHCOORD`: with longitude and latitude, as `(f64, f64)`.
            fn withcoord() = ["WITHCOORD"];
        }
        distance {
            /// `WITHDIST`: with the distance from the middle in the unit of the radius, as `f64`.
            fn withdist() = ["WITHDIST"];
        }
        hash {
            /// `WITHHASH`: with the number that stands for the place, as `i64`.
            fn withhash() = ["WITHHASH"];
        }
        count {
            /// `COUNT`: so many at most, the nearest.
            fn count(members: u64) = ["COUNT" members];
            /// `COUNT … ANY`: as soon as so many are found, whether or not others are nearer. Since 6.2.0.
            fn count_any(members: u64) = ["COUNT" members "ANY"];
        }
        order {
            /// `ASC`: the nearest first.
            fn asc() = ["ASC"];
            /// `DESC`: the furthest first.
            fn desc() = ["DESC"];
        }
        store {
            /// `STORE`: keeps the members under another key, with their places; how many they are comes back.
            fn store(destination: impl ToArg) = ["STORE" destination];
            /// `STOREDIST`: keeps the members under another key, with their distances as scores; how many they are
            /// comes back.
            fn storedist(destination: impl ToArg) = ["STOREDIST" destination];
        }
    }
}
