-- classes: the names of all limit classes. There are few, all from the configuration.
SELECT queue, class FROM limit_class
