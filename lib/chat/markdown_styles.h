#ifndef CONFAB_MARKDOWN_STYLES_H
#define CONFAB_MARKDOWN_STYLES_H
/* Styles that must stand at the element itself, because Google's import drops most of a style
 * sheet. What only a browser needs is in the page's sheet (dialog_html.c). */

#define STYLE_MONO_FONT "font-family:'Roboto Mono',Consolas,Menlo,'Courier New',monospace;"

#define STYLE_CODE      STYLE_MONO_FONT "font-size:10pt;background-color:#f1f3f4"
#define STYLE_PRE       STYLE_MONO_FONT "font-size:9.5pt;line-height:1.4;margin:0;" \
                        "white-space:pre-wrap;overflow-wrap:anywhere"
/* A block of code is a table of one cell: the one way to a box that Google keeps whole. */
#define STYLE_CODE_BOX  "width:100%;border-collapse:collapse;margin:8pt 0"
#define STYLE_CODE_CELL "background-color:#f6f8fa;border:1px solid #dadce0;padding:8pt 10pt"
#define STYLE_TABLE     "border-collapse:collapse;margin:8pt 0"
#define STYLE_CELL      "border:1px solid #c4c7cc;padding:4pt 8pt;vertical-align:top"
#define STYLE_HEAD_CELL STYLE_CELL ";background-color:#f1f3f4;font-weight:bold"
#define STYLE_QUOTE     "margin:8pt 0 8pt 4pt;padding:0 0 0 12pt;border-left:3px solid #dadce0;" \
                        "color:#5f6368"
#define STYLE_TASK      "list-style-type:none"
#define STYLE_LINK      "color:#1155cc;text-decoration:underline"
#define STYLE_STRIKE    "text-decoration:line-through"
#define STYLE_RULE      "border:0;border-top:1px solid #dadce0;margin:12pt 0"

#endif
