#pragma once
/* mallopt(3): not in Swift's module of glibc. */
#include <malloc.h>
