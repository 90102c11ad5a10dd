#include "lib/chat/window.h"

#include "lib/base/text.h"

/* A message costs a few tokens beside its text. */
enum { MESSAGE_TOKENS = 4, LEARN_FROM = 64 };

/* Nothing beyond these is believed; one report moves the scale by a part of the way. */
static const double ratio_min = 0.5, ratio_max = 3, pace = 0.2;

/* What surrounds the two texts of a stored pair, see turn.h. */
static const char pair_frame[] = "{\"role\":\"user\",\"content\":\"\"},"
                                 "{\"role\":\"assistant\",\"content\":\"\"}";

/* In quarters of a token, by the length of a character in UTF-8: four letters of English are a
 * token, two of most other alphabets; a Chinese or Hindi character is one, an emoji two. */
static int64_t quarters(const char *s, size_t len)
{
    int64_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0xF0) {
            sum += 8;
        } else if (c >= 0xE0) {
            sum += 4;
        } else if (c >= 0xC0) {
            sum += 2;
        } else if (c < 0x80) {
            size_t letters = text_ascii_prefix(s + i, len - i);

            sum += (int64_t)letters;
            i += letters - 1;
        }
    }
    return sum;
}

int64_t window_estimate(const char *text, size_t len)
{
    return (quarters(text, len) + 3) / 4 + MESSAGE_TOKENS;
}

int64_t window_estimate_turn(const struct session_part *part)
{
    int64_t all = quarters(part->s, part->len) - (int64_t)(sizeof(pair_frame) - 1);

    return (all > 0 ? (all + 3) / 4 : 0) + 2 * MESSAGE_TOKENS;
}

int64_t window_tokens(const struct window_scale *scale, int64_t estimated)
{
    return scale->ratio > 0 ? (int64_t)((double)estimated * scale->ratio + 0.5) : estimated;
}

static double within(double ratio)
{
    return ratio < ratio_min ? ratio_min : ratio > ratio_max ? ratio_max : ratio;
}

void window_learn(struct window_scale *scale, int64_t estimated, int64_t reported)
{
    double before = scale->ratio > 0 ? scale->ratio : 1;

    /* In a short prompt what the model adds by itself outweighs the text. */
    if (estimated < LEARN_FROM || reported <= 0)
        return;
    scale->ratio = before + (within((double)reported / (double)estimated) - before) * pace;
}

size_t window_fit(const struct window_scale *scale, const struct session_part *parts,
                  size_t count, int64_t tokens, int64_t *estimated)
{
    size_t fit = 0;

    *estimated = 0;
    while (fit < count) {
        int64_t more = *estimated + window_estimate_turn(&parts[count - 1 - fit]);

        if (window_tokens(scale, more) > tokens)
            break;
        *estimated = more;
        fit++;
    }
    return fit;
}
