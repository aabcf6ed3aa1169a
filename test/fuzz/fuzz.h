/*
 * fuzz.h
 *	  What the fuzz targets share: taking values from the input, and testing properties.
 */
#ifndef IH_FUZZ_H
#define IH_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of the input. */
typedef struct Bytes
{
	const uint8_t *at;
	size_t		   left;
} Bytes;

/* Aborts unless the property holds; libFuzzer then keeps the input. */
#define HOLDS(property)                                                                   \
	do                                                                                    \
	{                                                                                     \
		if (!(property))                                                                  \
		{                                                                                 \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property); \
			abort();                                                                      \
		}                                                                                 \
	} while (0)

/*
 * TakeInt takes the next nbytes (1 to 8) off the input and returns them as a signed number;
 * missing bytes count as zero.
 */
static inline int64_t
TakeInt(Bytes *in, int nbytes)
{
	uint64_t value = 0;

	for (int i = 0; i < nbytes; i++)
	{
		value = value << 8 | (in->left > 0 ? *in->at : 0);
		if (in->left > 0)
		{
			in->at++;
			in->left--;
		}
	}
	return (int64_t) (value << (64 - 8 * nbytes)) >> (64 - 8 * nbytes);
}

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* IH_FUZZ_H */
