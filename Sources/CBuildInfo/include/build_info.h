#pragma once
/* What a program was built from; Package.swift says it to the compiler. */
const char *silo_build_commit(void);
const char *silo_build_slatedb(void);
