import com.numberdesk.client.ApiClient;
import com.numberdesk.client.ApiException;
import com.numberdesk.client.api.OrdersApi;
import com.numberdesk.client.model.CarrierType;
import com.numberdesk.client.model.Order;
import com.numberdesk.client.model.OrderPage;
import com.numberdesk.client.model.OrderRequest;
import com.numberdesk.client.model.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** What an app does first, with the classes of openapi-generator's java (library native). */
public final class Main {
    private static Order order(OrdersApi orders, String country) throws ApiException {
        OrderRequest request = new OrderRequest().country(country).carrierType(CarrierType.LOCAL);
        return orders.createOrder(UUID.randomUUID().toString(), request, null);
    }

    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("API"));
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + System.getenv("TOKEN")));
        OrdersApi orders = new OrdersApi(client);

        Order rented = order(orders, "DE");
        System.out.println("rents " + rented.getId() + " " + rented.getPhoneNumber().getNumber());

        List<String> pages = new ArrayList<>();
        String cursor = null;
        while (pages.size() < 2) {
            OrderPage page = orders.listOrders(null, null, null, 1, cursor);
            page.getData().forEach(order -> pages.add(order.getId()));
            cursor = page.getNextCursor();
        }
        System.out.println("pages " + String.join(" ", pages));

        try {
            order(orders, "US");
        } catch (ApiException error) {
            Problem problem = client.getObjectMapper().readValue(error.getResponseBody(), Problem.class);
            System.out.println("problem " + problem.getType() + " " + problem.getDecision().getRule());
        }
    }
}
