//! Calls of the methods of this group.

super::samples! {
    acl_whoami() => "ACL WHOAMI";
    acl_users() => "ACL USERS";
    acl_list() => "ACL LIST";
    acl_getuser<()>("ann") => "ACL GETUSER ann";
    acl_setuser("ann", ["on", "~a*", "+get"]) => "ACL SETUSER ann on ~a* +get";
    acl_deluser(["ann", "bob"]) => "ACL DELUSER ann bob";
    acl_dryrun("ann", ["GET", "a"]) => "ACL DRYRUN ann GET a";
    acl_cat() => "ACL CAT";
    acl_cat_of("read") => "ACL CAT read";
    acl_genpass() => "ACL GENPASS";
    acl_genpass_bits(32) => "ACL GENPASS 32";
    acl_log<()>() => "ACL LOG";
    acl_log_count<()>(3) => "ACL LOG 3";
    acl_log_reset() => "ACL LOG RESET";
    acl_load() => "ACL LOAD";
    acl_save() => "ACL SAVE";
}
