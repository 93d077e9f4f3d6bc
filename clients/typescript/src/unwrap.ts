/** From an answer of `client.api` to its data or a typed error. */
import { problemError } from "./problem.js";

/** An answer of `client.api`: data, or the body of an error. */
export interface ApiResult<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/**
 * Returns the data of an answer.
 *
 * @throws {@link ProblemError}, as the class of the problem's type
 * @example const me = await unwrap(client.api.GET("/v1/me"));
 */
export async function unwrap<Data>(
  result: ApiResult<Data> | Promise<ApiResult<Data>>,
): Promise<Exclude<Data, undefined>> {
  const { data, error, response } = await result;
  if (!response.ok) throw problemError(response, error);
  return data as Exclude<Data, undefined>;
}
