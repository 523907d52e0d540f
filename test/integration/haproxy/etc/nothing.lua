core.register_action("nothing", {"http-req"}, function(txn) end)
